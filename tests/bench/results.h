/* The numbers of a benchmark run, and what is made of them. Every number shown is a median, since a
 * run that the machine disturbed should not count; the least and the greatest tell how far to trust
 * it. */
#ifndef GA_TESTS_BENCH_RESULTS_H
#define GA_TESTS_BENCH_RESULTS_H

#include "plan.h"

/* What each single run reported; NaN where there was none. */
struct ga_bench_results {
    const char *unit; /* of every number; NULL: the line's */
    double values[GA_BENCH_LINES_MAX][GA_BENCH_COMPETITOR_COUNT][GA_BENCH_RUNS_MAX];
};

struct ga_bench_summary {
    double median;
    double least;
    double greatest;
};

/* No results yet. */
void ga_bench_results_init(struct ga_bench_results *results);

/* What the numbers of a line count. */
const char *ga_bench_results_unit(const struct ga_bench_results *results, int line);

/* A competitor's results of a line. Returns whether there are any. */
bool ga_bench_results_of(const struct ga_bench_results *results, int line, int competitor,
                         struct ga_bench_summary *ret_summary);

/* goalloc's over a peer's: the ratio of the medians, and the least and the greatest ratio of two
 * runs of the same round. Returns whether both have results. */
bool ga_bench_results_ratio(const struct ga_bench_results *results, int line, int peer,
                            struct ga_bench_summary *ret_ratio);

/* The private peer with the least median; -1 if there is none. */
int ga_bench_results_best(const struct ga_bench_results *results, int line);

/* How a line stands to its target (lines.h). */
struct ga_bench_verdict {
    struct ga_bench_summary value; /* what the limit is of */
    int peer;                      /* compared with; -1: with none */
    bool met;                      /* true where there is no limit */
};

/* Returns whether the line was measured, and all that it is compared with. */
bool ga_bench_results_judge(const struct ga_bench_results *results, int line,
                            struct ga_bench_verdict *ret_verdict);

#endif
