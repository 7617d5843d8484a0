/* The row collect-pause: how long a managed process stands still for a collection, by how much is
 * live. Of goalloc alone; see work.h and graphs.h. */
#ifndef GA_TESTS_BENCH_PAUSES_H
#define GA_TESTS_BENCH_PAUSES_H

#include <errno.h>
#include <goalloc/goalloc.h>
#include <stdatomic.h>
#include <stdio.h>

#include "graphs.h"
#include "own.h"

#define GA_BENCH_CYCLES     9u /* of each size; odd, so that one is the median */
#define GA_BENCH_NODE_BYTES 64u

/* A thread that does nothing but look at the clock, and so sees how long it did not run. */
struct watcher {
    _Atomic uint64_t longest_ns; /* since somebody last stored 0 */
    _Atomic uint32_t done;
};

static void watch(const struct ga_bench_member *member)
{
    struct watcher *watcher = member->shared;
    uint64_t last = ga_bench_now_ns();
    while (!atomic_load_explicit(&watcher->done, memory_order_relaxed)) {
        uint64_t now = ga_bench_now_ns();
        if (now - last > atomic_load_explicit(&watcher->longest_ns, memory_order_relaxed))
            atomic_store_explicit(&watcher->longest_ns, now - last, memory_order_relaxed);
        last = now;
    }
}

/* One collection: the pause, and how long the marker took for an object. False if it was abandoned,
 * as it is where a busy machine lets no marker finish in the time that clients wait. */
static bool collect_once(struct watcher *watcher, uint64_t nlive, uint64_t *ret_pause_ns,
                         uint64_t *ret_object_ns)
{
    struct goalloc_gc_result result = {.size = sizeof result};
    atomic_store_explicit(&watcher->longest_ns, 0, memory_order_relaxed);
    int err = goalloc_gc(heap, &result);
    if (err == -ECANCELED) {
        fprintf(stderr, "collect-pause: a collection was abandoned: %s\n", result.failure);
        return false;
    }
    if (err < 0)
        ga_bench_die("no collection: %s", goalloc_strerror(err));
    if (result.found - result.garbage < nlive)
        ga_bench_die("the collection has not reached every object");
    *ret_object_ns = result.mark_ns / (result.found - result.garbage);
    *ret_pause_ns = atomic_load_explicit(&watcher->longest_ns, memory_order_relaxed);
    return true;
}

static void pause_result(const char *size, const char *what, double value)
{
    char line[64];
    snprintf(line, sizeof line, "collect-pause-%s%s", size, what);
    ga_bench_result(line, value);
}

/* Collections of a heap with so many live bytes, in a random graph. */
static void pauses_of(const struct ga_bench_args *args, const char *size, uint64_t live_bytes)
{
    uint64_t pauses[GA_BENCH_CYCLES], object_ns[GA_BENCH_CYCLES];
    unsigned ncycles = args->smoke ? 1 : GA_BENCH_CYCLES;
    struct watcher watcher = {0};
    struct ga_bench_member like = {.args = args, .shared = &watcher, .work = watch}, member;
    struct ga_bench_graph graph = graph_new((uint32_t)(live_bytes / GA_BENCH_NODE_BYTES));
    uint64_t nlive = graph.count;
    graph_random(&graph);
    /* What else points to the objects goes, lest it be searched for pointers. */
    graph_free(&graph);
    ga_bench_escape(&ga_bench_graph_root);
    ga_bench_members_start(&like, 1, 1, &member);
    unsigned nabandoned = 0;
    for (unsigned i = 0; i < ncycles;) {
        if (collect_once(&watcher, nlive, &pauses[i], &object_ns[i]))
            i++;
        else if (++nabandoned > ncycles)
            ga_bench_die("too many collections were abandoned");
    }
    atomic_store_explicit(&watcher.done, 1, memory_order_relaxed);
    ga_bench_members_join(&member, 1);
    pause_result(size, "", median_of(pauses, ncycles));
    pause_result(size, "-max", (double)pauses[ncycles - 1]);
    pause_result(size, "-object", median_of(object_ns, ncycles));
}

/* The one heap grows: what was live before is garbage when the next is measured, but for what
 * looks like a pointer to it. */
static void row_collect_pause(const struct ga_bench_args *args)
{
    uint64_t unit = args->smoke ? UINT64_C(64) << 10 : UINT64_C(64) << 20;
    ga_bench_pin(args->cores[0]);
    pauses_of(args, "64M", unit);
    pauses_of(args, "256M", 4 * unit);
    pauses_of(args, "1G", 16 * unit);
}

#endif
