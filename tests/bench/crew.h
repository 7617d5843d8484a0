/* What threads that work at the same time share with the one that measures them: each counts its
 * operations in a line of its own, and the one that measures, which sleeps meanwhile, takes the
 * difference between two moments at which all are at work. Lies in memory that processes may share.
 * Read by C and C++. */
#ifndef GA_TESTS_BENCH_CREW_H
#define GA_TESTS_BENCH_CREW_H

#include <stdint.h>
#include <unistd.h>

#include "atomic.h"
#include "worker.h"

#define GA_BENCH_CREW_MAX 1000u

struct ga_bench_crew_count {
    ga_bench_atomic operations; /* written by its member */
    uint64_t pad[7];
};

/* All zero is a crew that nobody has joined. */
struct ga_bench_crew {
    ga_bench_atomic ready; /* members that have what they work with */
    ga_bench_atomic go;    /* not 0: they are to begin */
    ga_bench_atomic stop;  /* not 0: they are to end */
    uint64_t pad[5];
    struct ga_bench_crew_count counts[GA_BENCH_CREW_MAX];
};

/* Member number index, once it has what it works with: wait for the others, asleep, since a
 * thousand that spin would keep the cores from those who come. The more there are, the less often
 * they look.
 */
static inline void ga_bench_crew_join(struct ga_bench_crew *crew, unsigned index)
{
    atomic_fetch_add_explicit(&crew->ready, 1, memory_order_relaxed);
    while (atomic_load_explicit(&crew->go, memory_order_relaxed) == 0)
        usleep(500 + 20 * index);
}

/* Member number index has done some operations. Returns whether it is to go on. */
static inline bool ga_bench_crew_done(struct ga_bench_crew *crew, unsigned index,
                                      uint64_t operations)
{
    ga_bench_atomic *count = &crew->counts[index].operations;
    uint64_t sum = atomic_load_explicit(count, memory_order_relaxed) + operations;
    atomic_store_explicit(count, sum, memory_order_relaxed);
    return atomic_load_explicit(&crew->stop, memory_order_relaxed) == 0;
}

static inline uint64_t ga_bench_crew_sum(const struct ga_bench_crew *crew, unsigned members)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < members; i++)
        sum += atomic_load_explicit(&crew->counts[i].operations, memory_order_relaxed);
    return sum;
}

static inline void ga_bench_crew_await(const struct ga_bench_crew *crew, unsigned members)
{
    while (atomic_load_explicit(&crew->ready, memory_order_relaxed) < members)
        usleep(200);
}

/* Let the members begin. Returns nanoseconds of one core's time for each operation, of the members
 * at work on ncores cores. They go on afterwards. */
static inline double ga_bench_crew_measure(const struct ga_bench_args *args,
                                           struct ga_bench_crew *crew, unsigned members,
                                           unsigned ncores)
{
    atomic_store_explicit(&crew->go, 1, memory_order_relaxed);
    usleep((useconds_t)args->warmup_ms * 1000);
    uint64_t start = ga_bench_now_ns(), before = ga_bench_crew_sum(crew, members);
    uint64_t now, operations;
    do {
        usleep((useconds_t)args->measure_ms * 1000);
        now = ga_bench_now_ns();
        operations = ga_bench_crew_sum(crew, members) - before;
    } while (operations == 0);
    return (double)(now - start) * ncores / (double)operations;
}

static inline void ga_bench_crew_stop(struct ga_bench_crew *crew)
{
    atomic_store_explicit(&crew->stop, 1, memory_order_relaxed);
}

#endif
