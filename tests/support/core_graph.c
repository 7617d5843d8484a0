#include "support/core_graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <CUnit/CUnit.h>

#include "server/collect.h"
#include "shm/size_class.h"
#include "shm/tiny.h"

void ga_graph_init(struct ga_graph *graph, struct ga_core *core)
{
    *graph = (struct ga_graph){.core = core, .memory_bytes = core->config.reserve_bytes};
    void *memory = mmap(NULL, graph->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    graph->memory = memory;
    ga_graph_adopted(graph);
}

void ga_graph_adopted(struct ga_graph *graph)
{
    ga_heap_set_memory(graph->core->heap, graph->memory);
}

void ga_graph_fini(struct ga_graph *graph)
{
    munmap(graph->memory, graph->memory_bytes);
    free(graph->objects);
}

static size_t enter(struct ga_graph *graph, const struct ga_graph_object *object)
{
    if (graph->count == graph->room) {
        graph->room = graph->room ? graph->room * 2 : 1024;
        graph->objects = realloc(graph->objects, graph->room * sizeof(*graph->objects));
        if (!graph->objects)
            abort();
    }
    graph->objects[graph->count] = *object;
    return graph->count++;
}

size_t ga_graph_alloc(struct ga_graph *graph, ga_client_id client, ga_mcache_id mcache,
                      ga_span_class span_class)
{
    struct ga_core *core = graph->core;
    struct ga_graph_object object = {.noscan = span_class & 1};
    while (ga_core_malloc(core, mcache, span_class, &object.slot) == -ENOENT) {
        ga_page_id page = ga_core_lease(core, client, mcache, span_class);
        CU_ASSERT_NOT_EQUAL_FATAL(page, 0);
        CU_ASSERT_FATAL(ga_core_claim(core, mcache, page));
    }
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    uint64_t unit = tiny ? GA_TINY_UNIT_BYTES : ga_size_classes[span_class / 2].size;
    object.bytes = tiny ? (uint64_t)GA_TINY_UNITS * GA_TINY_UNIT_BYTES : unit;
    object.offset = ((uint64_t)object.slot.page << GA_PAGE_SHIFT) + object.slot.index * unit;
    return enter(graph, &object);
}

size_t ga_graph_alloc_large(struct ga_graph *graph, ga_client_id client, ga_mcache_id mcache,
                            uint64_t bytes, bool noscan)
{
    bool zeroed;
    ga_page_id page = 0;
    CU_ASSERT_EQUAL_FATAL(
        ga_core_large_alloc(graph->core, client, mcache, bytes, noscan, &page, &zeroed), 0);
    struct ga_graph_object object = {.noscan = noscan};
    object.slot = ga_core_slot(graph->core, page, 0);
    object.offset = (uint64_t)page << GA_PAGE_SHIFT;
    object.bytes = ga_entry_npages(object.slot.entry) * GA_PAGE_SIZE;
    return enter(graph, &object);
}

void ga_graph_store(struct ga_graph *graph, size_t from, uint64_t word, uint64_t value)
{
    memcpy(graph->memory + graph->objects[from].offset + word * sizeof(value), &value,
           sizeof(value));
}

void ga_graph_point(struct ga_graph *graph, size_t from, uint64_t word, uint64_t offset)
{
    ga_graph_store(graph, from, word, GA_CORE_BASE + offset);
}

static int compare(const void *a, const void *b)
{
    const struct ga_graph_object *one = a;
    const struct ga_graph_object *other = b;
    return (one->offset > other->offset) - (one->offset < other->offset);
}

void ga_graph_sort(struct ga_graph *graph)
{
    qsort(graph->objects, graph->count, sizeof(*graph->objects), compare);
}

size_t ga_graph_find(const struct ga_graph *graph, uint64_t offset)
{
    size_t low = 0;
    size_t high = graph->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (graph->objects[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || offset - graph->objects[low - 1].offset >= graph->objects[low - 1].bytes)
        return SIZE_MAX;
    /* What lies in the 128 bytes of one word of tiny objects tells nothing of the next. */
    bool tiny = graph->objects[low - 1].slot.entry & GA_ENTRY_TINY;
    return tiny && graph->objects[low - 1].offset / 128 != offset / 128 ? SIZE_MAX : low - 1;
}

void ga_graph_reach(struct ga_graph *graph, uint64_t offset)
{
    size_t *stack = malloc((graph->count + 1) * sizeof(*stack));
    size_t depth = 0;
    size_t root = ga_graph_find(graph, offset);
    if (!stack)
        abort();
    if (root != SIZE_MAX && !graph->objects[root].reached) {
        graph->objects[root].reached = true;
        stack[depth++] = root;
    }
    while (depth > 0) {
        const struct ga_graph_object *object = &graph->objects[stack[--depth]];
        for (uint64_t at = 0; !object->noscan && at < object->bytes; at += sizeof(uint64_t)) {
            uint64_t value;
            memcpy(&value, graph->memory + object->offset + at, sizeof(value));
            size_t to = ga_graph_find(graph, value - GA_CORE_BASE);
            if (to != SIZE_MAX && !graph->objects[to].reached) {
                graph->objects[to].reached = true;
                stack[depth++] = to;
            }
        }
    }
    free(stack);
}
