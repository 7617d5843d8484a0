/* Collection cycles: when one begins, on which threads it is marked, and who is told what came of
 * it. The core has the steps (server/collect.h); here they are done one after the other, while the
 * loop serves everybody else: the marking on threads of libuv's pool, the sweep a slice a turn.
 *
 * One cycle at a time. Who asks while one is under way waits for the next, for what that one began
 * with is older than the request. Orphans of clients that have gone begin one by themselves, after
 * a while in which others may go too. */
#ifndef GA_SERVER_SHELL_CYCLE_H
#define GA_SERVER_SHELL_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "server/collect.h"

struct ga_connection;
struct ga_server;
struct ga_cycle_waiter;

#define GA_CYCLE_WORKERS_MAX 4u

struct ga_cycle {
    uint32_t number; /* of the last that began */
    bool on;
    enum ga_collect_mode mode;
    const char *failure; /* a clause: why it is abandoned; NULL = it is not */
    uv_work_t work[GA_CYCLE_WORKERS_MAX];
    uint32_t nworkers; /* that the marking has */
    uint32_t nmarking; /* of them, not done */
    bool sweeping;     /* in slices, by: */
    uv_idle_t slices;
    uv_timer_t delay; /* before orphans are looked for */
    uint64_t began_ns;
    uint64_t mark_ns;
    uint64_t sweep_ns; /* in the slices */
    uint64_t last_ms;  /* how long the last cycle took */
    uint64_t last_end_ms;
    struct ga_cycle_waiter *waiters; /* for this cycle's end, or for a later one's */
};

/* 0 or a negative errno. */
int ga_cycle_init(struct ga_server *server);
/* The server is ending: close the handles, and have the marking end soon. */
void ga_cycle_close(struct ga_server *server);

/* connection's request id asks for a cycle, and is answered when it is over, by GcResult. 0; -EBUSY
 * (the heap is to be copied), -ENOMEM. */
int ga_cycle_ask(struct ga_connection *connection, uint64_t id, enum ga_collect_mode mode);
/* connection is closing: it waits for nothing. */
void ga_cycle_forget(struct ga_connection *connection);

/* A client has gone, or a heap was taken over: begin a cycle soon if there are orphans. */
void ga_cycle_look(struct ga_server *server);
/* It is quiet no more: go on. */
void ga_cycle_go_on(struct ga_server *server);

#endif
