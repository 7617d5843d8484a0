/* One run of one competitor: its worker, and for goalloc a server, are started, and what the worker
 * reports is kept. Not thread-safe: the runner has one thread. */
#ifndef GA_TESTS_BENCH_MEASURE_H
#define GA_TESTS_BENCH_MEASURE_H

#include "plan.h"
#include "results.h"
#include "server.h"

/* What counts instructions. */
#define GA_BENCH_VALGRIND "/usr/bin/valgrind"

struct ga_bench_runner {
    struct ga_bench_plan plan;
    struct ga_bench_results results;
    struct ga_bench_server server; /* of the run that is under way */
    char segment[64];              /* Boost's shared memory */
};

/* Whether competitor can run here; says on stderr what is skipped, and why. */
bool ga_bench_measure_can(const struct ga_bench_runner *runner, int competitor);

/* Measure row once, as run number run. Returns 0, or a negative errno after a message. */
int ga_bench_measure_once(struct ga_bench_runner *runner, int row, int competitor, unsigned run);

#endif
