/* Collection cycles: when one begins, on which threads it is marked, and who is told what came of
 * it. The core has the steps (server/collect.h); here they are done one after the other, while the
 * loop serves everybody else: the marking on threads of libuv's pool, the sweep a slice a turn.
 *
 * Managed clients stand still for it (standstill.h): from before it begins until all is marked; or,
 * where all clients can say what they write meanwhile (track.h), only while that is marked once
 * more which they have written to. They have cycles of their own: when they were granted as much
 * again as was reached the last time (or another part of that, --gc-percent), before the heap grows
 * for a large object that would make it so much, and before a request of memory of anybody fails
 * for want of it.
 *
 * One cycle at a time. Who asks while one is under way waits for the next, for what that one began
 * with is older than the request. Orphans of clients that have gone begin one by themselves, after
 * a while in which others may go too. */
#ifndef GA_SERVER_SHELL_CYCLE_H
#define GA_SERVER_SHELL_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/message.h"
#include "server/collect.h"

struct ga_connection;
struct ga_server;
struct ga_cycle_waiter;

#define GA_CYCLE_WORKERS_MAX 4u

/* Of a cycle that is not swept as yet. */
enum ga_cycle_phase {
    GA_CYCLE_TRACKING, /* clients begin to note what they write */
    GA_CYCLE_ENTERING, /* what there is to be marked, in slices */
    GA_CYCLE_MARKING,  /* while they run */
    GA_CYCLE_LOOKING,  /* they say what they have written */
    GA_CYCLE_STOPPING, /* those that are managed come to stand still */
    GA_CYCLE_TELLING,  /* the others say what they have written */
    GA_CYCLE_CLOSING,  /* marking while they stand still */
};

struct ga_cycle {
    uint32_t number; /* of the last that began */
    bool on;
    enum ga_collect_mode mode;
    const char *failure; /* a clause: why it is abandoned; NULL = it is not */
    bool failed_for_now; /* who waits for it waits for the next, */
    uv_timer_t again;    /* which begins when this is over */
    uv_work_t work[GA_CYCLE_WORKERS_MAX];
    uint32_t nworkers; /* that the marking has */
    uint32_t nmarking; /* of them, not done */
    bool sweeping;     /* in slices; entering as well; by: */
    uv_idle_t slices;
    uv_timer_t delay; /* before orphans are looked for */
    enum ga_cycle_phase phase;
    bool begun;             /* what managed clients point to is known, and it is marked for good */
    uint64_t round_npages;  /* that they had written at the last but one */
    uint32_t nrounds;       /* how often they have said what they had written */
    uint32_t percent;       /* --gc-percent; 0 = managed clients' growth begins no cycle */
    uint64_t trigger_bytes; /* how much managed clients are granted before the next cycle */
    uint64_t granted_bytes; /* what they had been when the last ended */
    uint64_t unseen_bytes;  /* of the last large object: who asked for it hardly points to it yet */
    uint64_t reached_bytes; /* the last time */
    uint64_t next_bytes;    /* what they will then have: what was reached, and trigger_bytes */
    uint64_t nfull;         /* cycles with managed clients that were not abandoned */
    uint64_t pause_ns;      /* how long clients stood still for the last that they did for */
    uint64_t pause_total_ns;
    uint64_t full_end_wall_ms; /* when the last of nfull ended; since 1970 */
    uint64_t began_ns;
    uint64_t mark_ns;
    uint64_t sweep_ns; /* in the slices */
    uint64_t last_ms;  /* how long the last cycle took */
    uint64_t last_end_ms;
    bool telling; /* those who waited for the last cycle; the next begins after that */
    struct ga_cycle_waiter *waiters; /* for this cycle's end, or for a later one's */
};

/* 0 or a negative errno. */
int ga_cycle_init(struct ga_server *server);
/* How much managed clients may grow from now on, as --gc-percent says. */
void ga_cycle_set_percent(struct ga_server *server, uint32_t percent);
/* The server is ending: close the handles, and have the marking end soon. */
void ga_cycle_close(struct ga_server *server);

/* connection's request id asks for a cycle, and is answered when it is over, by GcResult. 0; -EBUSY
 * (the heap is to be copied), -ENOMEM. */
int ga_cycle_ask(struct ga_connection *connection, uint64_t id, enum ga_collect_mode mode);
/* connection is closing: it waits for nothing. */
void ga_cycle_forget(struct ga_connection *connection);

/* A request for a lease, a large object or scavenging: if a collection marks, and so keeps memory
 * from being given back, the request waits for the end of that and is then handled again: true. */
bool ga_cycle_put_off_marking(struct ga_connection *connection,
                              const Goalloc__V1__Envelope *message);
/* A request of memory has come to r. If that is for want of it, and a collection marks or managed
 * clients may have garbage, the request waits for the cycle, or one more, and is then handled
 * again: true. */
bool ga_cycle_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                      int r);

/* All managed clients stand still (standstill.h): go on. Or: it cannot be, or one of them is gone;
 * failure must stay until the next cycle begins; for_now: that is soon, for who waits for this one.
 */
void ga_cycle_all_stopped(struct ga_server *server);
void ga_cycle_give_up(struct ga_server *server, const char *failure, bool for_now);

/* A request for a large object: if it would have the heap grow, and with what managed clients were
 * granted since the last cycle that makes it time for the next, it waits for that cycle and is then
 * handled again: true. */
bool ga_cycle_comes_first(struct ga_connection *connection, const Goalloc__V1__Envelope *message);
/* It was granted, and managed clients had been granted before_bytes before. */
void ga_cycle_note_large(struct ga_server *server, uint64_t before_bytes);

/* What was asked of clients for track.h is answered, or never will be. */
void ga_cycle_tracked(struct ga_server *server);

/* Memory was granted: begin a cycle if managed clients have had enough. */
void ga_cycle_look_at_growth(struct ga_server *server);

/* A client has gone, or a heap was taken over: begin a cycle soon if there are orphans. */
void ga_cycle_look(struct ga_server *server);
/* It is quiet no more: go on. */
void ga_cycle_go_on(struct ga_server *server);

#endif
