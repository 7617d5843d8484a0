/* The worker of goalloc: links the shared client library like any program and uses its installed
 * header only. --heap is the socket of the goallocd that the runner started. The hand-off is
 * between two processes; its ring is an object of the heap, found by its published name. */
#include <goalloc/goalloc.h>

static struct goalloc_heap *heap;

#define BENCH_ALLOC(size)     goalloc_malloc(heap, size)
#define BENCH_FREE(p)         goalloc_free(heap, p)
#define BENCH_TO_WORD(p)      ((uint64_t)(uintptr_t)(p))
#define BENCH_FROM_WORD(word) ((void *)(uintptr_t)(word))
#include "work.h"

static const char RING_NAME[] = "bench.ring";

/* A refused free is no free: a number measured with it would flatter. */
static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)data;
    ga_bench_die("%s", message);
}

static void attach(const struct ga_bench_args *args)
{
    struct goalloc_options options = {.size = sizeof options, .report = on_report};
    int err = goalloc_attach(args->heap, &options, &heap);
    if (err < 0)
        ga_bench_die("cannot attach to %s: %s", args->heap, goalloc_attach_error());
}

static void detach(const struct ga_bench_args *args)
{
    (void)args;
    goalloc_detach(heap);
}

static double row_handoff(const struct ga_bench_args *args)
{
    struct ga_bench_ring *ring =
        (struct ga_bench_ring *)goalloc_alloc(heap, sizeof *ring, 64, GOALLOC_ZERO);
    if (!ring)
        ga_bench_die("no memory for the ring");
    int err = goalloc_publish(heap, RING_NAME, ring);
    if (err < 0)
        ga_bench_die("cannot publish the ring: %s", goalloc_strerror(err));
    double ns = ga_bench_handoff_to_process(args, ring);
    err = goalloc_unpublish(heap, RING_NAME);
    if (err < 0)
        ga_bench_die("cannot unpublish the ring: %s", goalloc_strerror(err));
    goalloc_free(heap, ring);
    return ns;
}

static void consume(const struct ga_bench_args *args)
{
    void *ring;
    int err = goalloc_lookup(heap, RING_NAME, &ring);
    if (err < 0)
        ga_bench_die("cannot find the ring: %s", goalloc_strerror(err));
    ga_bench_consume(args, (struct ga_bench_ring *)ring);
}

int main(int argc, char **argv)
{
    static const struct ga_bench_family family = {ga_bench_works, GA_BENCH_WORK_COUNT, attach,
                                                  detach, consume};
    return ga_bench_worker_main(argc, argv, &family);
}
