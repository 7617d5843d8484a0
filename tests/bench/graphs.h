/* The graphs that a collector marks, the same in each family: objects of 56 bytes, which every
 * family has in 64, with two to four pointers, all of them reached from one root. A family's file
 * defines, before it includes this, BENCH_ALLOC and BENCH_ALLOC_NOSCAN as in work.h, and after it
 *   bench_mark_once(graph)  mark all that the root reaches, and say how long that took, in ns
 *   bench_mark_check(graph) end the worker if an object of the graph was not reached */
#ifndef GA_TESTS_BENCH_GRAPHS_H
#define GA_TESTS_BENCH_GRAPHS_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rows.h"
#include "worker.h"

#define GA_BENCH_MARKS     3u /* measured, of each graph; odd, so that one is the median */
#define GA_BENCH_MILLION   UINT64_C(1000000)
#define GA_BENCH_NPOINTERS 4u

struct ga_bench_node {
    struct ga_bench_node *to[GA_BENCH_NPOINTERS];
    uint64_t data[3]; /* no pointers */
};

/* What is made of objects is known in memory that no collector looks at. */
struct ga_bench_graph {
    struct ga_bench_node **nodes; /* in the order of allocation */
    uint32_t *order;              /* the same, at random */
    uint32_t count;
    uint64_t random;
};

/* What reaches all others; where a collector finds it. */
static struct ga_bench_node *ga_bench_graph_root;

static uint64_t bench_mark_once(const struct ga_bench_graph *graph);
static void bench_mark_check(const struct ga_bench_graph *graph);

static void *graph_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        ga_bench_die("out of memory");
    return table;
}

static struct ga_bench_graph graph_new(uint32_t count)
{
    struct ga_bench_graph graph = {.nodes = graph_table(count * sizeof(void *)),
                                   .order = graph_table(count * sizeof(uint32_t)),
                                   .count = count,
                                   .random = 42};
    for (uint32_t i = 0; i < count; i++)
        graph.order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(ga_bench_random(&graph.random) % (i + 1));
        uint32_t chosen = graph.order[j];
        graph.order[j] = graph.order[i];
        graph.order[i] = chosen;
    }
    return graph;
}

static void graph_free(struct ga_bench_graph *graph)
{
    munmap(graph->nodes, graph->count * sizeof(void *));
    munmap(graph->order, graph->count * sizeof(uint32_t));
}

static void graph_alloc(struct ga_bench_graph *graph, uint32_t i, bool noscan)
{
    struct ga_bench_node *node =
        noscan ? BENCH_ALLOC_NOSCAN(sizeof *node) : BENCH_ALLOC(sizeof *node);
    if (!node)
        ga_bench_die("out of memory");
    memset(node, 0, sizeof *node);
    for (size_t word = 0; word < sizeof node->data / sizeof node->data[0]; word++)
        node->data[word] = i + word;
    graph->nodes[i] = node;
}

static struct ga_bench_node *graph_any(struct ga_bench_graph *graph)
{
    return graph->nodes[ga_bench_random(&graph->random) % graph->count];
}

/* The first parents nodes of the order are a tree, each parent pointing to the next two; and every
 * node has two to four pointers, what is not needed for that to any others. */
static void graph_link_tree(struct ga_bench_graph *graph, uint32_t parents)
{
    for (uint32_t i = 0; i < parents; i++) {
        struct ga_bench_node *node = graph->nodes[graph->order[i]];
        uint64_t npointers = 2 + ga_bench_random(&graph->random) % 3;
        for (uint64_t n = 0; n < npointers; n++) {
            uint64_t child = 2 * (uint64_t)i + 1 + n;
            node->to[n] = n < 2 && child < graph->count ? graph->nodes[graph->order[child]]
                                                        : graph_any(graph);
        }
    }
    ga_bench_graph_root = graph->nodes[graph->order[0]];
}

static void graph_random(struct ga_bench_graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++)
        graph_alloc(graph, i, false);
    graph_link_tree(graph, graph->count);
}

/* The same where half of the objects, every other one that is allocated, hold no pointers: those
 * are the leaves of the tree. */
static void graph_noscan(struct ga_bench_graph *graph)
{
    uint32_t parents = graph->count / 2;
    for (uint32_t i = 0; i < graph->count; i++)
        graph_alloc(graph, graph->order[i], i >= parents);
    graph_link_tree(graph, parents);
}

/* A list with pointers to the next and the one before, in the order of allocation or another. */
static void graph_link_list(struct ga_bench_graph *graph, bool shuffled)
{
    struct ga_bench_node *last = NULL;
    for (uint32_t i = 0; i < graph->count; i++)
        graph_alloc(graph, i, false);
    for (uint32_t i = 0; i < graph->count; i++) {
        struct ga_bench_node *node = graph->nodes[shuffled ? graph->order[i] : i];
        node->to[1] = last;
        if (last)
            last->to[0] = node;
        else
            ga_bench_graph_root = node;
        last = node;
    }
}

static void graph_list(struct ga_bench_graph *graph)
{
    graph_link_list(graph, false);
}

static void graph_chain(struct ga_bench_graph *graph)
{
    graph_link_list(graph, true);
}

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
