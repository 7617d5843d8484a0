/* The rows of one thread: see rows.h for what each does, and work.h for what it is made of. Read by
 * C and C++. */
#ifndef GA_TESTS_BENCH_LOOPS_H
#define GA_TESTS_BENCH_LOOPS_H

#include <string.h>

#include "work.h"

#define GA_BENCH_SMALL      64u
#define GA_BENCH_LIFO       32u
#define GA_BENCH_CHURN_4K   4000u
#define GA_BENCH_CHURN_1M   1000000u
#define GA_BENCH_LARGE_LIVE 16u
#define GA_BENCH_LARGE_MIN  (UINT64_C(64) << 10)
#define GA_BENCH_LARGE_MAX  (UINT64_C(1) << 20)
#define GA_BENCH_OS_PAGE    4096u

__attribute__((noinline)) static uint64_t pair_chunk(void *state)
{
    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        void *p = ga_bench_make(GA_BENCH_SMALL, i);
        BENCH_FREE(p);
    }
    return 10000;
}

static void row_pair(const struct ga_bench_args *args)
{
    ga_bench_measure(args, pair_chunk, NULL);
}

__attribute__((noinline)) static uint64_t lifo_chunk(void *state)
{
    (void)state;
    void *objects[GA_BENCH_LIFO];
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < GA_BENCH_LIFO; i++)
            objects[i] = ga_bench_make(GA_BENCH_SMALL, i);
        for (unsigned i = GA_BENCH_LIFO; i > 0; i--)
            BENCH_FREE(objects[i - 1]);
    }
    return 300 * GA_BENCH_LIFO;
}

static void row_lifo(const struct ga_bench_args *args)
{
    ga_bench_measure(args, lifo_chunk, NULL);
}

struct batch_state {
    struct ga_bench_batch choice;
    void *objects[GA_BENCH_BATCH_OBJECTS];
};

__attribute__((noinline)) static uint64_t batch_chunk(void *state)
{
    struct batch_state *batch = (struct batch_state *)state;
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
        batch->objects[i] = ga_bench_make(batch->choice.sizes[i], i);
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
        BENCH_FREE(batch->objects[batch->choice.order[i]]);
    return GA_BENCH_BATCH_OBJECTS;
}

static struct batch_state batch_state;

static void row_batch(const struct ga_bench_args *args)
{
    ga_bench_batch_choose(8, 1024, &batch_state.choice);
    ga_bench_measure(args, batch_chunk, &batch_state);
}

__attribute__((noinline)) static uint64_t tiny_chunk(void *state)
{
    struct batch_state *batch = (struct batch_state *)state;
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++) {
        char *p = (char *)BENCH_ALLOC_NOSCAN(batch->choice.sizes[i]);
        if (__builtin_expect(!p, 0))
            ga_bench_die("out of memory");
        *p = (char)i;
        ga_bench_escape(p);
        batch->objects[i] = p;
    }
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
        BENCH_FREE(batch->objects[batch->choice.order[i]]);
    return GA_BENCH_BATCH_OBJECTS;
}

static void row_tiny(const struct ga_bench_args *args)
{
    ga_bench_batch_choose(1, 15, &batch_state.choice);
    ga_bench_measure(args, tiny_chunk, &batch_state);
}

static void churn(const struct ga_bench_args *args, uint32_t count)
{
    static void *objects[GA_BENCH_CHURN_1M];
    struct ga_bench_churn state = {objects, count, 42};
    ga_bench_churn_fill(&state);
    ga_bench_measure(args, ga_bench_churn_chunk, &state);
    if (args->operations == 0) /* what is not counted need not be done */
        ga_bench_churn_empty(&state);
}

static void row_churn_4k(const struct ga_bench_args *args)
{
    churn(args, GA_BENCH_CHURN_4K);
}

static void row_churn_1m(const struct ga_bench_args *args)
{
    churn(args, args->smoke ? GA_BENCH_CHURN_4K : GA_BENCH_CHURN_1M);
}

/* Write a word of each of the kernel's pages of from..to. */
static inline void touch(void *p, size_t from, size_t to)
{
    for (size_t i = from; i < to; i += GA_BENCH_OS_PAGE)
        *(uint64_t *)((char *)p + i) = i;
    ga_bench_escape(p);
}

__attribute__((noinline)) static uint64_t large_chunk(void *state)
{
    struct ga_bench_churn *live = (struct ga_bench_churn *)state;
    for (unsigned n = 0; n < 100; n++) {
        uint64_t random = ga_bench_random(&live->random);
        size_t size =
            GA_BENCH_LARGE_MIN + (random >> 32) % (GA_BENCH_LARGE_MAX - GA_BENCH_LARGE_MIN + 1);
        uint32_t i = (uint32_t)random % live->count;
        BENCH_FREE(live->objects[i]);
        live->objects[i] = ga_bench_make(size, i);
        touch(live->objects[i], 0, size & ~(size_t)7);
    }
    return 100;
}

static void row_large(const struct ga_bench_args *args)
{
    void *objects[GA_BENCH_LARGE_LIVE];
    struct ga_bench_churn live = {objects, GA_BENCH_LARGE_LIVE, 42};
    for (uint32_t i = 0; i < live.count; i++)
        objects[i] = ga_bench_make(GA_BENCH_LARGE_MIN, i);
    ga_bench_measure(args, large_chunk, &live);
    ga_bench_churn_empty(&live);
}

__attribute__((noinline)) static uint64_t realloc_chunk(void *state)
{
    (void)state;
    uint64_t operations = 0;
    for (unsigned vector = 0; vector < 10; vector++) {
        size_t size = 16;
        void *p = ga_bench_make(size, vector);
        for (; size < GA_BENCH_LARGE_MAX; size *= 2, operations++) {
            p = BENCH_RESIZE(p, size, size * 2);
            if (__builtin_expect(!p || *(uint64_t *)p != vector, 0))
                ga_bench_die("a vector of %zu bytes was lost", size);
            touch(p, size, size * 2);
        }
        BENCH_FREE(p);
    }
    return operations;
}

static void row_realloc(const struct ga_bench_args *args)
{
    ga_bench_measure(args, realloc_chunk, NULL);
}

#endif
