/* The worker of the allocators that serve one process: plain malloc and free, the C library's own
 * or those of a library that the runner preloads. What takes several processes elsewhere takes
 * several threads here. */
#include <stdlib.h>

#define BENCH_ALLOC(size)               malloc(size)
#define BENCH_ALLOC_NOSCAN(size)        malloc(size)
#define BENCH_FREE(p)                   free(p)
#define BENCH_RESIZE(p, old_size, size) realloc(p, size)
#define BENCH_TO_WORD(p)                ((uint64_t)(uintptr_t)(p))
#define BENCH_FROM_WORD(word)           ((void *)(uintptr_t)(word))
#define BENCH_PROCESSES                 0
#include "growth.h"
#include "loops.h"
#include "together.h"

static void *shared;

static void *bench_share(size_t bytes)
{
    shared = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!shared)
        ga_bench_die("out of memory");
    return memset(shared, 0, bytes);
}

static void bench_unshare(void *p)
{
    free(p);
}

/* malloc needs neither opening nor closing. */
static void nothing(const struct ga_bench_args *args)
{
    (void)args;
}

int main(int argc, char **argv)
{
    static const struct ga_bench_work works[] = {GA_BENCH_TIMED_ROWS(GA_BENCH_WORK)
                                                     GA_BENCH_GROWTH_ROWS(GA_BENCH_WORK)};
    static const struct ga_bench_family family = {
        works, sizeof works / sizeof works[0], NULL, 0, nothing, nothing, NULL};
    return ga_bench_worker_main(argc, argv, &family);
}
