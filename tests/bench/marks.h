/* The rows that mark graphs (graphs.h), by a marker in this process. A family's file defines,
 * before it includes this, what graphs.h asks for, and after it bench_mark_once(graph)  mark all
 * that the root reaches, and say how long that took, in ns bench_mark_check(graph) end the worker
 * if an object of the graph was not reached */
#ifndef GA_TESTS_BENCH_MARKS_H
#define GA_TESTS_BENCH_MARKS_H

#include <stdlib.h>

#include "graphs.h"
#include "rows.h"

#define GA_BENCH_MARKS   3u /* measured, of each graph; odd, so that one is the median */
#define GA_BENCH_MILLION UINT64_C(1000000)

static uint64_t bench_mark_once(const struct ga_bench_graph *graph);
static void bench_mark_check(const struct ga_bench_graph *graph);

static int compare_marks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One unmeasured mark, which is the first to touch much, and then the median of some. */
static void graph_measure(const struct ga_bench_args *args,
                          void (*make)(struct ga_bench_graph *graph), uint64_t count)
{
    uint64_t ns[GA_BENCH_MARKS];
    struct ga_bench_graph graph = graph_new(args->smoke ? 10000 : (uint32_t)count);
    ga_bench_pin(args->cores[0]);
    make(&graph);
    for (int i = -1; i < (int)GA_BENCH_MARKS; i++) {
        uint64_t took = bench_mark_once(&graph);
        if (i >= 0)
            ns[i] = took;
    }
    bench_mark_check(&graph);
    qsort(ns, GA_BENCH_MARKS, sizeof ns[0], compare_marks);
    ga_bench_result(args->row, (double)ns[GA_BENCH_MARKS / 2] / graph.count);
    graph_free(&graph);
}

#define GRAPH_ROW(id, shape, millions)                                                             \
    static void row_##id(const struct ga_bench_args *args)                                         \
    {                                                                                              \
        graph_measure(args, graph_##shape, (millions)*GA_BENCH_MILLION);                           \
    }
GRAPH_ROW(collect_random_1m, random, 1)
GRAPH_ROW(collect_random_20m, random, 20)
GRAPH_ROW(collect_noscan_1m, noscan, 1)
GRAPH_ROW(collect_noscan_20m, noscan, 20)
GRAPH_ROW(collect_list_1m, list, 1)
GRAPH_ROW(collect_list_20m, list, 20)
GRAPH_ROW(collect_chain_1m, chain, 1)
GRAPH_ROW(collect_chain_20m, chain, 20)

/* An entry of the family's table of rows. */
#define GA_BENCH_GRAPH_WORK(id, name, text) {name, row_##id},

#endif
