/* The processes of a scenario: children of the explorer that attach to the heap with the library as
 * it is shipped, and do what they are told. The functions of a scenario run in them. */
#ifndef GA_TESTS_CRASH_ACTOR_H
#define GA_TESTS_CRASH_ACTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "crash/world.h"
#include "goalloc/goalloc.h"

typedef void ga_actor_fn(void);

struct ga_actor {
    pid_t pid;
    int channel;
    const struct ga_crash_world *world;
};

/* Start a process that attaches and then waits for orders. False if it could not attach. */
bool ga_actor_start(struct ga_actor *actor, const struct ga_crash_world *world,
                    struct ga_account *account, bool is_survivor);
/* Have it carry out the function (NULL: nothing), and wait; or do not wait, and wait later. Who is
 * stuck is told of on stderr, with its stack and the server's. */
bool ga_actor_do(struct ga_actor *actor, ga_actor_fn *function);
bool ga_actor_begin(struct ga_actor *actor, ga_actor_fn *function);
bool ga_actor_await(struct ga_actor *actor);
/* Wait until what it has begun waits for the server, or is done. False if neither comes. */
bool ga_actor_await_request(const struct ga_actor *actor);
/* Kill it; or it was killed and waited for. */
void ga_actor_kill(struct ga_actor *actor);
void ga_actor_lost(struct ga_actor *actor);

enum ga_victim_kind {
    GA_VICTIM_ATTACHED = 0, /* the operation is a call */
    GA_VICTIM_UNATTACHED,   /* the operation is attaching */
    GA_VICTIM_THREAD,       /* the operation is the end of a thread */
    GA_VICTIM_FORKED,       /* a child of the survivor: the operation is its first call */
    GA_VICTIM_LIBRARY,      /* the operation makes the library's own thread do something */
};

/* Start a process of one of the first three kinds. It attaches, does before, and then operation
 * between two marks, traced. Returns its pid. */
pid_t ga_actor_start_victim(const struct ga_crash_world *world, struct ga_account *account,
                            ga_actor_fn *before, ga_actor_fn *operation, enum ga_victim_kind kind);
/* Have the survivor fork one that does operation, likewise. It is this process's child, which must
 * be a subreaper. Returns its pid, or -1. */
pid_t ga_actor_fork_victim(struct ga_actor *survivor, struct ga_account *account,
                           ga_actor_fn *operation);

/* Run the function in a process of its own, which attaches before and detaches after it. False if
 * it fails, or is stuck. */
bool ga_actor_run(const struct ga_crash_world *world, struct ga_account *account,
                  ga_actor_fn *function);

/* ---- for the functions, in their process ---- */

extern struct goalloc_heap *ga_heap;
extern struct ga_account *ga_account;

/* Attach; for an operation that is attaching. */
void ga_actor_attach(void);
/* Detach, and attach again with this policy and these flags. */
void ga_actor_attach_as(uint32_t as_policy, uint32_t flags);
const char *ga_actor_socket(void);
/* Allocate, fill and note an object. */
void *ga_actor_get(size_t bytes);
void *ga_actor_get_noscan(size_t bytes);
/* Free an object that is noted. */
void ga_actor_put(void *p);
/* Free and allocate again, so that a few frees more give back spans of GA_ACTOR_BIG bytes that it
 * has grown out of; and those frees. */
#define GA_ACTOR_BIG 32768u /* an object and a span */
void ga_actor_outgrow(void);
void ga_actor_give_back(void);
/* Whether the object has the word of one that is sampled. */
bool ga_actor_is_sampled(const void *p);
/* Whether there are entries in this process's ring that it has not yet taken. */
bool ga_actor_has_ring_entries(void);
/* How many ring entries it has taken. */
uint64_t ga_actor_ring_taken(void);

#endif
