/* The connections that have not said Hello. Nobody needs long for that: who sends Hello with
 * connecting is no stranger any more when a turn of the loop has read what it sent. But of a crowd
 * that comes at once on a busy machine many are stopped between the two. So as many are kept as
 * such a crowd may be, and those for a bounded time: a flood of them takes descriptors from nobody.
 */
#ifndef GA_SERVER_SHELL_STRANGERS_H
#define GA_SERVER_SHELL_STRANGERS_H

#include <stdint.h>

struct ga_connection;
struct ga_server;

struct ga_strangers {
    struct ga_connection *oldest;
    struct ga_connection *newest;
    uint64_t count;
    uint64_t most;         /* that outlive the turn after the one they come in */
    uint64_t most_in_turn; /* that are accepted in a turn of the loop */
};

/* Nobody yet; most is what the limit of descriptors allows, 1,024 or an eighth of it, of which 64
 * in a turn. */
void ga_strangers_init(struct ga_strangers *strangers, uint64_t descriptors);

/* One that has just been accepted, the newest. */
void ga_strangers_add(struct ga_strangers *strangers, struct ga_connection *connection);
/* It has said Hello, or is closed. One that is no stranger is left as it is. */
void ga_strangers_remove(struct ga_strangers *strangers, struct ga_connection *connection);

/* At the end of a turn of the loop, once what everybody sent has been read: close the oldest that
 * are too many. Those that were accepted in this turn, and not read from yet, stay. */
void ga_strangers_thin(struct ga_server *server);
/* Close those that have been strangers for 10 s. */
void ga_strangers_expire(struct ga_server *server, uint64_t now_ms);

#endif
