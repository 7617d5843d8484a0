/* The worker of goalloc: links the shared client library like any program and uses its installed
 * header only. --heap is the socket of the goallocd that the runner started. Where a row has helper
 * processes, what they share is an object of the heap, found by its published name. */
#include <goalloc/goalloc.h>

static struct goalloc_heap *heap;

#define BENCH_ALLOC(size)               goalloc_malloc(heap, size)
#define BENCH_ALLOC_NOSCAN(size)        goalloc_alloc(heap, size, 0, GOALLOC_NOSCAN)
#define BENCH_FREE(p)                   goalloc_free(heap, p)
#define BENCH_RESIZE(p, old_size, size) goalloc_realloc(heap, p, size)
#define BENCH_TO_WORD(p)                ((uint64_t)(uintptr_t)(p))
#define BENCH_FROM_WORD(word)           ((void *)(uintptr_t)(word))
#define BENCH_PROCESSES                 1
#include "growth.h"
#include "loops.h"
#include "own.h"
#include "pauses.h"
#include "scavenges.h"
#include "together.h"

static const char SHARED_NAME[] = "bench.shared";

/* A refused free is no free: a number measured with it would flatter. */
static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)data;
    ga_bench_die("%s", message);
}

static void attach(const struct ga_bench_args *args)
{
    /* A thousand processes that start at once keep each other from the cores for a while. */
    struct goalloc_options options = {
        .size = sizeof options, .timeout_ms = 60000, .report = on_report};
    if (args->row && strcmp(args->row, "collect-pause") == 0)
        options.flags = GOALLOC_MANAGED;
    int err = goalloc_attach(args->heap, &options, &heap);
    if (err < 0)
        ga_bench_die("cannot attach to %s: %s", args->heap, goalloc_attach_error());
}

static void detach(const struct ga_bench_args *args)
{
    (void)args;
    goalloc_detach(heap);
}

static void *bench_share(size_t bytes)
{
    void *p = goalloc_alloc(heap, bytes, 64, GOALLOC_ZERO);
    if (!p)
        ga_bench_die("out of memory");
    int err = goalloc_publish(heap, SHARED_NAME, p);
    if (err < 0)
        ga_bench_die("cannot publish: %s", goalloc_strerror(err));
    return p;
}

static void *bench_find_shared(void)
{
    void *p;
    int err = goalloc_lookup(heap, SHARED_NAME, &p);
    if (err < 0)
        ga_bench_die("cannot find what is published: %s", goalloc_strerror(err));
    return p;
}

static void bench_unshare(void *p)
{
    int err = goalloc_unpublish(heap, SHARED_NAME);
    if (err < 0)
        ga_bench_die("cannot unpublish: %s", goalloc_strerror(err));
    goalloc_free(heap, p);
}

static void allocate_once(void)
{
    ga_bench_make(64, 1);
}

int main(int argc, char **argv)
{
    static const struct ga_bench_work works[] = {GA_BENCH_TIMED_ROWS(
        GA_BENCH_WORK) GA_BENCH_GROWTH_ROWS(GA_BENCH_WORK) GA_BENCH_OWN_ROWS(GA_BENCH_WORK)};
    static const struct ga_bench_work helps[] = {
        {"handoff", help_handoff}, {"storm", help_storm}, {"crowd", help_crowd}};
    static const struct ga_bench_family family = {works,        sizeof works / sizeof works[0],
                                                  helps,        sizeof helps / sizeof helps[0],
                                                  attach,       detach,
                                                  allocate_once};
    return ga_bench_worker_main(argc, argv, &family);
}
