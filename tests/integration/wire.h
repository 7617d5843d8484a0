/* The protocol spoken by hand: a socket, raw bytes, whole messages. Reading waits a bounded time,
 * so that a server that does not answer fails a test instead of stopping it. */
#ifndef GA_TESTS_WIRE_H
#define GA_TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct ga_wire {
    int fd;
    uint64_t last_id;
    size_t last_bytes; /* of the last message received, encoded */
    struct ga_frame_reader reader;
    struct ga_decode_arena arena;
    uint8_t *buffer;
    uint8_t *memory;
};

/* Speak over fd, which is connected, and the wire's from then on. */
void ga_wire_begin(struct ga_wire *wire, int fd);
/* Connect; false if nobody accepts. */
bool ga_wire_open(struct ga_wire *wire, const char *path);
/* Say Hello. */
bool ga_wire_greet(struct ga_wire *wire);
/* Connect, and say Hello. */
bool ga_wire_open_greeted(struct ga_wire *wire, const char *path);
/* Connect, say Hello, and attach. */
bool ga_wire_open_attached(struct ga_wire *wire, const char *path);
void ga_wire_close(struct ga_wire *wire);

bool ga_wire_send_bytes(struct ga_wire *wire, const void *bytes, size_t nbytes);
/* Send as it is, the id too. */
bool ga_wire_send(struct ga_wire *wire, const Goalloc__V1__Envelope *message);

/* The next message, valid until the next call; NULL at the end of the connection or after a long
 * silence. */
const Goalloc__V1__Envelope *ga_wire_receive(struct ga_wire *wire);
/* Whether the server has closed the connection and there is nothing more to read. */
bool ga_wire_is_ended(struct ga_wire *wire);

/* Give message an id, send it, and receive the reply to it; notes before it are skipped. */
const Goalloc__V1__Envelope *ga_wire_call(struct ga_wire *wire, Goalloc__V1__Envelope *message);
/* The same with a body: the member of the union for body_case. */
const Goalloc__V1__Envelope *ga_wire_ask(struct ga_wire *wire,
                                         Goalloc__V1__Envelope__BodyCase body_case, void *body);

/* Whether message is a Failure with this errno (negative) and exactly this detail. */
bool ga_wire_is_failure(const Goalloc__V1__Envelope *message, int err, const char *detail);

#endif
