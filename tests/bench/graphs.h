/* The graphs that a collector marks, the same in each family: objects of 56 bytes, which every
 * family has in 64, with two to four pointers, all of them reached from one root. A family's file
 * defines BENCH_ALLOC and BENCH_ALLOC_NOSCAN as in work.h before it includes this. */
#ifndef GA_TESTS_BENCH_GRAPHS_H
#define GA_TESTS_BENCH_GRAPHS_H

#include <string.h>
#include <sys/mman.h>

#include "worker.h"

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

static inline void *graph_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        ga_bench_die("out of memory");
    return table;
}

static inline struct ga_bench_graph graph_new(uint32_t count)
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

static inline void graph_free(struct ga_bench_graph *graph)
{
    munmap(graph->nodes, graph->count * sizeof(void *));
    munmap(graph->order, graph->count * sizeof(uint32_t));
}

static inline void graph_alloc(struct ga_bench_graph *graph, uint32_t i, bool noscan)
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

static inline struct ga_bench_node *graph_any(struct ga_bench_graph *graph)
{
    return graph->nodes[ga_bench_random(&graph->random) % graph->count];
}

/* The first parents nodes of the order are a tree, each parent pointing to the next two; and every
 * node has two to four pointers, what is not needed for that to any others. */
static inline void graph_link_tree(struct ga_bench_graph *graph, uint32_t parents)
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

static inline void graph_random(struct ga_bench_graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++)
        graph_alloc(graph, i, false);
    graph_link_tree(graph, graph->count);
}

/* The same where half of the objects, every other one that is allocated, hold no pointers: those
 * are the leaves of the tree. */
static inline void graph_noscan(struct ga_bench_graph *graph)
{
    uint32_t parents = graph->count / 2;
    for (uint32_t i = 0; i < graph->count; i++)
        graph_alloc(graph, graph->order[i], i >= parents);
    graph_link_tree(graph, parents);
}

/* A list with pointers to the next and the one before, in the order of allocation or another. */
static inline void graph_link_list(struct ga_bench_graph *graph, bool shuffled)
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

static inline void graph_list(struct ga_bench_graph *graph)
{
    graph_link_list(graph, false);
}

static inline void graph_chain(struct ga_bench_graph *graph)
{
    graph_link_list(graph, true);
}

#endif
