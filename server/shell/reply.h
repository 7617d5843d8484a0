/* Replies to requests. */
#ifndef GA_SERVER_SHELL_REPLY_H
#define GA_SERVER_SHELL_REPLY_H

#include <stdint.h>

#include "proto/message.h"

struct ga_connection;

/* Send reply, whose body is filled in, as the answer to request id. */
void ga_reply(struct ga_connection *connection, uint64_t id, Goalloc__V1__Envelope *reply);

/* Answer Done. */
void ga_reply_done(struct ga_connection *connection, uint64_t id);

/* Answer Root: who published it is client_plus_1 - 1, 0 = one who is gone. */
void ga_reply_root(struct ga_connection *connection, uint64_t id, const char *name, uint64_t offset,
                   uint32_t client_plus_1);

/* Answer Replaced. */
void ga_reply_replaced(struct ga_connection *connection, uint64_t id, uint64_t old_offset);

/* Answer that request id failed with err, a negative errno; the detail says what was wrong. */
void ga_reply_failure(struct ga_connection *connection, uint64_t id, int err, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

#endif
