/* The picture of a benchmark run, for a README. */
#ifndef GA_TESTS_BENCH_CHART_H
#define GA_TESTS_BENCH_CHART_H

#include "results.h"

/* Draw the ratios of the rows of time, a bar for each peer, into the SVG file path. Returns 0 or a
 * negative errno. */
int ga_bench_chart_write(const char *path, const struct ga_bench_results *results);

#endif
