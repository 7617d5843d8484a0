/* Objects of a heap core that point at each other: memory for the heap object, objects of all kinds
 * in it, pointers in those, and which of them can be reached, found out one word after the other by
 * a marker as plain as can be. */
#ifndef GA_TESTS_CORE_GRAPH_H
#define GA_TESTS_CORE_GRAPH_H

#include "support/core_fixture.h"

struct ga_graph_object {
    uint64_t offset;
    uint64_t bytes; /* of its slot; of a tiny object, how far it may reach */
    struct ga_slot slot;
    bool noscan;
    bool reached; /* ga_graph_reach */
};

struct ga_graph {
    struct ga_core *core;
    char *memory; /* of the heap object; none of it in the core's own mappings */
    uint64_t memory_bytes;
    struct ga_graph_object *objects; /* by offset once ga_graph_sort was called */
    size_t count;
    size_t room;
};

/* Give the open core memory for its heap. */
void ga_graph_init(struct ga_graph *graph, struct ga_core *core);
void ga_graph_fini(struct ga_graph *graph);
/* The same for a core that was taken over. */
void ga_graph_adopted(struct ga_graph *graph);

/* Allocate an object, by its client's mcache. Returns its index, valid until ga_graph_sort. */
size_t ga_graph_alloc(struct ga_graph *graph, ga_client_id client, ga_mcache_id mcache,
                      ga_span_class span_class);
size_t ga_graph_alloc_large(struct ga_graph *graph, ga_client_id client, ga_mcache_id mcache,
                            uint64_t bytes, bool noscan);

/* Store in a word of the object an address: of the heap, or any. */
void ga_graph_point(struct ga_graph *graph, size_t from, uint64_t word, uint64_t offset);
void ga_graph_store(struct ga_graph *graph, size_t from, uint64_t word, uint64_t value);

void ga_graph_sort(struct ga_graph *graph);
/* The object that offset lies in; SIZE_MAX if none. Sorted. */
size_t ga_graph_find(const struct ga_graph *graph, uint64_t offset);
/* Note what can be reached from offset. Sorted. */
void ga_graph_reach(struct ga_graph *graph, uint64_t offset);

#endif
