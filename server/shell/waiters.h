/* Who waits for a root to be published. A wait is a request that is not answered until then; it
 * ends also when its client gives it up, or hangs up. */
#ifndef GA_SERVER_SHELL_WAITERS_H
#define GA_SERVER_SHELL_WAITERS_H

#include <stdint.h>

struct ga_connection;
struct ga_waiter;

/* How many waits of one connection there may be: one for each of its threads, and those are bounded
 * by their mcaches (attachment.h). */
#define GA_CONNECTION_WAITS_MAX 4096u

/* All who wait, the longest first. Zeroed: nobody. */
struct ga_waiters {
    struct ga_waiter *first;
    struct ga_waiter *last;
};

/* Answer connection's request id once a root is called name. 0, -EAGAIN when the connection waits
 * for as many as it may, -ENOMEM. */
int ga_waiters_add(struct ga_waiters *waiters, struct ga_connection *connection, uint64_t id,
                   const char *name);

/* A root is called name now: answer all who wait for it, in the order in which they came. */
void ga_waiters_answer(struct ga_waiters *waiters, const char *name, uint64_t offset,
                       uint32_t client_plus_1);

/* The wait of connection's request id is given up; unless it has ended already. */
void ga_waiters_forget(struct ga_waiters *waiters, const struct ga_connection *connection,
                       uint64_t id);
/* All waits of connection are. */
void ga_waiters_forget_all(struct ga_waiters *waiters, struct ga_connection *connection);

#endif
