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
};

/* Start a process that attaches and then waits for orders. False if it could not attach. */
bool ga_actor_start(struct ga_actor *actor, const struct ga_crash_world *world,
                    struct ga_account *account, bool is_survivor);
/* Have it carry out the function (NULL: nothing), and wait; or do not wait, and wait later. */
bool ga_actor_do(struct ga_actor *actor, ga_actor_fn *function);
bool ga_actor_begin(struct ga_actor *actor, ga_actor_fn *function);
bool ga_actor_await(struct ga_actor *actor);
/* Kill it. */
void ga_actor_kill(struct ga_actor *actor);

/* Start a process that attaches (unless unattached), does before, and then operation between two
 * marks, traced; by_thread: on a thread of its own, the second mark being its end. Returns its pid.
 */
pid_t ga_actor_start_victim(const struct ga_crash_world *world, struct ga_account *account,
                            ga_actor_fn *before, ga_actor_fn *operation, bool unattached,
                            bool by_thread);

/* Run the function in a process of its own, which attaches before and detaches after it. */
bool ga_actor_run(const struct ga_crash_world *world, struct ga_account *account,
                  ga_actor_fn *function);

/* ---- for the functions, in their process ---- */

extern struct goalloc_heap *ga_heap;
extern struct ga_account *ga_account;

/* Attach; for an operation that is attaching. */
void ga_actor_attach(void);
const char *ga_actor_socket(void);
/* Allocate, fill and note an object. */
void *ga_actor_get(size_t bytes);
void *ga_actor_get_noscan(size_t bytes);
/* Free an object that is noted. */
void ga_actor_put(void *p);
/* Whether there are entries in this process's ring that it has not yet taken. */
bool ga_actor_has_ring_entries(void);
/* How many ring entries it has taken. */
uint64_t ga_actor_ring_taken(void);

#endif
