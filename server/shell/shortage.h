/* Memory, or a quota, is used up: clients are asked to give back what they do not use. One whose
 * process is stopped cannot answer, so it is not asked; it and who does not answer are named, with
 * what they hold. And where neither is used up: they are asked now and then for what they do not
 * need. */
#ifndef GA_SERVER_SHELL_SHORTAGE_H
#define GA_SERVER_SHELL_SHORTAGE_H

#include <stdbool.h>
#include <stdint.h>

struct ga_server;
struct ga_connection;
struct ga_attachment;

enum ga_withholding {
    GA_WITHHOLDS_NOTHING = 0,
    GA_WITHHOLDS_STOPPED = 1, /* its process was stopped when it was to be asked */
    GA_WITHHOLDS_SILENT = 2,  /* it was asked a while ago, and has not answered */
};

/* What an attachment was asked, and answered. */
struct ga_shortage {
    uint32_t asked; /* the number of the last call that it was sent, 0 = none */
    uint32_t answered;
    uint64_t asked_ms;
    enum ga_withholding named; /* what the log says of it already */
    bool looking;              /* it was asked for what it does not need, and has not answered */
};

/* Ask all clients; not too often, since a heap that is full stays so for a while. */
void ga_shortage_call(struct ga_server *server);
/* Memory is not short, but clients may lease what they do not need: ask all who have answered
 * before for that. To be called once in a second. */
void ga_shortage_look(struct ga_server *server);
/* Ask those of a user. */
void ga_shortage_call_user(struct ga_server *server, uint32_t uid);
/* The client has done what it was asked in this call, and before; or has looked for what it does
 * not need. */
void ga_shortage_answered(struct ga_attachment *attachment, uint32_t call);
void ga_shortage_looked(struct ga_attachment *attachment);
/* Its connection has ended, and what it was asked with it. */
void ga_shortage_forget(struct ga_attachment *attachment);
/* What the client withholds as far as is known now. */
enum ga_withholding ga_shortage_of(const struct ga_attachment *attachment);
/* How many clients withhold something, and what they lease in all. */
void ga_shortage_sum(const struct ga_server *server, uint32_t *ret_clients, uint64_t *ret_bytes);

#endif
