/* The worker of Boehm's collector, libgc: marks what the other family's worker marks. It has one
 * thread and no helpers that mark, and takes interior pointers for pointers as it does in a C
 * program that says nothing else. What is timed is its marking alone, by its own events: it clears
 * the marks before, and sweeps lazily, after. */
#define GC_THREADS /* or the header does not tell of GC_set_markers_count */
#define GC_NO_THREAD_REDIRECTS
#include <gc/gc.h>
#include <gc/gc_mark.h>

#define BENCH_ALLOC(size)        GC_malloc(size)
#define BENCH_ALLOC_NOSCAN(size) GC_malloc_atomic(size)
#include "marks.h"

static uint64_t mark_start_ns, mark_ns;
static const struct ga_bench_args *timed_by;

static void GC_CALLBACK on_event(GC_EventType event)
{
    if (event == GC_EVENT_MARK_START)
        mark_start_ns = ga_bench_work_ns(timed_by);
    else if (event == GC_EVENT_MARK_END)
        mark_ns = ga_bench_work_ns(timed_by) - mark_start_ns;
}

/* Without the data of program and libraries for roots, which the other family does not read either;
 * and without collections while the graph is made. */
static void open_heap(const struct ga_bench_args *args)
{
    timed_by = args;
    GC_set_no_dls(1);
    GC_set_markers_count(1);
    GC_INIT();
    GC_add_roots(&ga_bench_graph_root, &ga_bench_graph_root + 1);
    GC_disable();
    GC_set_on_collection_event(on_event);
}

static void close_heap(const struct ga_bench_args *args)
{
    (void)args;
}

static uint64_t bench_mark_once(const struct ga_bench_graph *graph)
{
    (void)graph;
    mark_ns = 0;
    GC_enable();
    GC_gcollect();
    GC_disable();
    if (mark_ns == 0)
        ga_bench_die("libgc has not marked");
    return mark_ns;
}

static void bench_mark_check(const struct ga_bench_graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++)
        if (!GC_is_marked(graph->nodes[i]))
            ga_bench_die("libgc has missed an object");
}

int main(int argc, char **argv)
{
    static const struct ga_bench_work works[] = {GA_BENCH_MARK_ROWS(GA_BENCH_GRAPH_WORK)};
    static const struct ga_bench_family family = {
        works, sizeof works / sizeof works[0], NULL, 0, open_heap, close_heap, NULL};
    return ga_bench_worker_main(argc, argv, &family);
}
