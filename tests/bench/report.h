/* The results of a benchmark run and how they are shown: the table, the JSON file and the targets.
 */
#ifndef GA_TESTS_BENCH_REPORT_H
#define GA_TESTS_BENCH_REPORT_H

#include <stdio.h>

#include "plan.h"

/* Nanoseconds per operation of each single run; the plan says which rows and competitors count. */
struct ga_bench_results {
    double ns[GA_BENCH_ROW_COUNT][GA_BENCH_COMPETITOR_COUNT][GA_BENCH_RUNS_MAX];
};

/* Print the table: medians, their ratio, and the least and the greatest run. */
void ga_bench_report_table(const struct ga_bench_plan *plan, const struct ga_bench_results *results,
                           FILE *out);

/* Print a line for each target: met in this run, missed, or not measured. */
void ga_bench_report_targets(const struct ga_bench_plan *plan,
                             const struct ga_bench_results *results, FILE *out);

/* Write the table as an array of objects to plan->json_path. Returns 0 or a negative errno. */
int ga_bench_report_json(const struct ga_bench_plan *plan, const struct ga_bench_results *results);

#endif
