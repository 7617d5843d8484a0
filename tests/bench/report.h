/* How the results of a benchmark run are shown: the tables, the targets, and the JSON file. */
#ifndef GA_TESTS_BENCH_REPORT_H
#define GA_TESTS_BENCH_REPORT_H

#include <stdio.h>

#include "results.h"

/* Print every line and peer: medians, their ratio and its spread; then what goalloc ran alone. */
void ga_bench_report_table(const struct ga_bench_results *results, FILE *out);

/* Print a line for each target, then those over all rows, and at last which were missed. */
void ga_bench_report_targets(const struct ga_bench_results *results, FILE *out);

/* Write the tables as an array of objects to path. Returns 0 or a negative errno. */
int ga_bench_report_json(const char *path, const struct ga_bench_results *results);

#endif
