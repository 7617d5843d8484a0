/* The simulated world: a heap core, a clock, a network, and processes of several threads, each
 * thread with an mcache in the simulated shared memory. One seed decides everything. */
#ifndef GA_TESTS_SIMULATION_WORLD_H
#define GA_TESTS_SIMULATION_WORLD_H

#include "shm/batch.h"
#include "shm/tiny.h"
#include "support/core_fixture.h"

#define GA_SIM_PROCESSES 5u
#define GA_SIM_THREADS   3u
#define GA_SIM_SPANS     96u /* that a thread leases */
#define GA_SIM_NAMES     6u
#define GA_SIM_OWN       6u /* pointers in a process's own memory */
#define GA_SIM_CLASSES   9u

/* What kind of world a run has. In one of few classes and objects, who does something meets others
 * at the same span, and spans become full and empty all the time. */
struct ga_sim_kind_of_world {
    ga_span_class classes[GA_SIM_CLASSES];
    uint32_t nclasses;
    uint32_t nobjects_max;
    uint32_t switch_reach; /* a frame is interrupted within its first 2^this points */
    bool is_small;
};

/* A span that a thread leases. */
struct ga_sim_span {
    ga_page_id page;
    ga_span_class span_class;
    bool full; /* as far as the thread knows: it looks again when it is told */
};

/* What a thread believes to be free. */
#define GA_SIM_FREE_SLOTS 128u
struct ga_sim_free_slot {
    ga_page_id page;
    uint32_t index;
    ga_span_class span_class;
};

struct ga_sim_thread {
    bool used;
    bool busy;       /* at a step that has been interrupted */
    uint64_t awaits; /* the request it waits for, 0 = none */
    int asked;       /* what that is: a ga_sim_kind */
    uint64_t about;  /* the object that it is about, by its offset; 0 = none */
    ga_mcache_id id; /* 0: asked for, and not come as yet */
    uint64_t ring_taken;
    uint32_t nspans;
    struct ga_sim_span spans[GA_SIM_SPANS];
    uint32_t nfree;
    struct ga_sim_free_slot free[GA_SIM_FREE_SLOTS];
    struct ga_tiny_carver carver;
    struct ga_batch_slots batch; /* of frees by others; empty where its mask is 0 */
};

struct ga_sim_process {
    uint32_t pid; /* 0: there is none; never used twice */
    bool attached;
    bool managed;
    uint64_t own[GA_SIM_OWN]; /* what its own memory points to, by offsets; 0 = nothing */
    ga_client_id client;
    struct ga_sim_thread threads[GA_SIM_THREADS];
};

/* How often each happened in all runs: a simulation in which nothing happens proves nothing. */
#define GA_SIM_EVENTS(X)                                                                           \
    X(steps)                                                                                       \
    X(interludes)                                                                                  \
    X(mallocs)                                                                                     \
    X(tiny)                                                                                        \
    X(frees)                                                                                       \
    X(refused_frees)                                                                               \
    X(batched)                                                                                     \
    X(flushes)                                                                                     \
    X(large)                                                                                       \
    X(kept_large)                                                                                  \
    X(leases)                                                                                      \
    X(from_ring)                                                                                   \
    X(returns)                                                                                     \
    X(refused_returns)                                                                             \
    X(no_memory)                                                                                   \
    X(no_quota)                                                                                    \
    X(resizes)                                                                                     \
    X(holds)                                                                                       \
    X(put_off)                                                                                     \
    X(roots)                                                                                       \
    X(given_up)                                                                                    \
    X(deaths)                                                                                      \
    X(deaths_in_a_step)                                                                            \
    X(releases)                                                                                    \
    X(punches)                                                                                     \
    X(recommits)                                                                                   \
    X(collections)                                                                                 \
    X(abandoned)                                                                                   \
    X(collected)                                                                                   \
    X(collected_whole)                                                                             \
    X(server_deaths) X(server_deaths_in_a_step) X(adoptions) X(adoptions_cut_off) X(reaped)
#define GA_SIM_FIELD(name) uint64_t name;

struct ga_sim {
    struct ga_core core;
    uint64_t random;
    const char *wrong; /* the first clause that was not true */
    bool server_is_up;
    bool standing; /* managed processes stand still */
    uint32_t last_pid;
    struct ga_sim_process processes[GA_SIM_PROCESSES];
    struct ga_sim_kind_of_world kind;
    bool stats_each_step;
    bool is_ending; /* no process begins any more */
    struct {
        GA_SIM_EVENTS(GA_SIM_FIELD)
    } seen;
};
extern struct ga_sim ga_sim;

uint32_t ga_sim_pick(uint32_t n);

/* Note that clause was not true, if true_ is false. The run ends with the step. */
#define GA_SIM_REQUIRE(true_, clause) ((true_) ? (void)0 : ga_sim_fail(clause))
void ga_sim_fail(const char *clause);

/* One step of the world; and a smaller one, in the middle of somebody else's. */
void ga_sim_step(void);
void ga_sim_interlude(void);

/* One run of so many steps, audited after each. Returns whether all was true. */
bool ga_sim_world_run(uint64_t seed, uint32_t nsteps, uint32_t *ret_steps);

#endif
