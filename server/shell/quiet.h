/* Quiet for who copies the heap: nothing in it changes. Only clients, and the server for them,
 * change it; so it is quiet when each client has agreed to pause, none is leaving, and nobody new
 * may attach. What would have to be done meanwhile for one that ends is done afterwards.
 *
 * Quiet is for one connection, and lasts until that says so, or ends, however it ends: so one who
 * is killed holds nobody up. */
#ifndef GA_SERVER_SHELL_QUIET_H
#define GA_SERVER_SHELL_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct ga_connection;
struct ga_server;

struct ga_quiet {
    struct ga_connection *asked_by; /* NULL = nobody: no pause is wanted */
    uint64_t id;                    /* the request that waits for the clients, 0 = answered */
    uv_timer_t limit;               /* how long it waits */
};

/* connection's request id asks for quiet, and nobody else has it or waits for it. Every client is
 * asked to pause; Quiet is the answer when it is quiet, or wait_ms are over. */
void ga_quiet_ask(struct ga_connection *connection, uint64_t id, uint32_t wait_ms);

/* A client has paused, or goes: perhaps it is quiet now. */
void ga_quiet_look(struct ga_server *server);

/* Whether nothing may change. */
bool ga_quiet_is_on(const struct ga_server *server);

/* A client has a new connection: tell it if a pause is wanted. */
void ga_quiet_tell(struct ga_connection *connection);

/* No pause is wanted any more: everybody is told, who waits to go on does, and who has ended
 * meanwhile is taken back. */
void ga_quiet_end(struct ga_server *server);

/* connection is closing: the same, if it had asked. */
void ga_quiet_forget(struct ga_connection *connection);

#endif
