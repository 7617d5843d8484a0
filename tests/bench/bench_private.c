/* The worker of the allocators that serve one process: plain malloc and free, the C library's own
 * or those of a library that the runner preloads. Its hand-off is between two threads. */
#include <pthread.h>
#include <stdlib.h>

#define BENCH_ALLOC(size)     malloc(size)
#define BENCH_FREE(p)         free(p)
#define BENCH_TO_WORD(p)      ((uint64_t)(uintptr_t)(p))
#define BENCH_FROM_WORD(word) ((void *)(uintptr_t)(word))
#include "work.h"

static _Alignas(64) struct ga_bench_ring ring;

static void *consumer_main(void *data)
{
    ga_bench_consume((const struct ga_bench_args *)data, &ring);
    return NULL;
}

static double row_handoff(const struct ga_bench_args *args)
{
    struct ga_bench_args consumer_args = *args;
    pthread_t consumer;
    if (pthread_create(&consumer, NULL, consumer_main, &consumer_args) != 0)
        ga_bench_die("cannot start the consumer");
    double ns = ga_bench_produce(args, &ring);
    pthread_join(consumer, NULL);
    return ns;
}

/* malloc needs neither opening nor closing. */
static void nothing(const struct ga_bench_args *args)
{
    (void)args;
}

int main(int argc, char **argv)
{
    static const struct ga_bench_family family = {ga_bench_works, GA_BENCH_WORK_COUNT, nothing,
                                                  nothing, NULL};
    return ga_bench_worker_main(argc, argv, &family);
}
