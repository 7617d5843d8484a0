/* The rows that ask what growing costs: stall, in time, and memory, in bytes. They free nothing
 * that they need not: the worker ends with its row. See work.h. */
#ifndef GA_TESTS_BENCH_GROWTH_H
#define GA_TESTS_BENCH_GROWTH_H

#include <string.h>

#include "histogram.h"
#include "resident.h"
#include "work.h"

#define GA_BENCH_STALL_MALLOCS UINT64_C(10000000)
#define GA_BENCH_STALL_MIN     16u
#define GA_BENCH_STALL_MAX     199u /* 107.5 B in the mean: 1 GiB in the end */

/* malloc and the write of the first word: memory that an allocator hands out untouched costs when
 * it is first written. */
static void row_stall(const struct ga_bench_args *args)
{
    static struct ga_bench_histogram histogram;
    uint64_t mallocs = args->smoke ? 10000 : GA_BENCH_STALL_MALLOCS, state = 42;
    ga_bench_pin(args->cores[0]);
    uint64_t start_ns = ga_bench_now_ns(), start_ticks = ga_bench_ticks();
    for (uint64_t i = 0; i < mallocs; i++) {
        size_t size = GA_BENCH_STALL_MIN +
                      ga_bench_random(&state) % (GA_BENCH_STALL_MAX - GA_BENCH_STALL_MIN + 1);
        uint64_t before = ga_bench_ticks();
        ga_bench_make(size, i);
        ga_bench_histogram_add(&histogram, ga_bench_ticks() - before);
    }
    double ns_per_tick =
        (double)(ga_bench_now_ns() - start_ns) / (double)(ga_bench_ticks() - start_ticks);
    ga_bench_result("stall-p50", ga_bench_histogram_quantile(&histogram, 0.5) * ns_per_tick);
    ga_bench_result("stall-p99", ga_bench_histogram_quantile(&histogram, 0.99) * ns_per_tick);
    ga_bench_result("stall-p99.9", ga_bench_histogram_quantile(&histogram, 0.999) * ns_per_tick);
    ga_bench_result("stall-max", (double)histogram.greatest * ns_per_tick);
}

#define GA_BENCH_MEMORY_OBJECTS 1000000u

/* What is live. */
static void *memory_objects[GA_BENCH_MEMORY_OBJECTS];
static uint32_t memory_sizes[GA_BENCH_MEMORY_OBJECTS];

/* Resident memory while objects come and go. Each mix has a process of its own, and goalloc's even
 * a heap of its own, since what one leaves resident would serve the next. */
struct memory {
    const struct ga_bench_args *args;
    uint64_t before; /* resident before the first object */
    uint64_t peak;   /* the most that was seen since */
    uint64_t live;   /* bytes asked for and not freed */
};

static struct memory memory_begin(const struct ga_bench_args *args)
{
    ga_bench_pin(args->cores[0]);
    /* The worker's own pages are there already when memory is counted. */
    memset(memory_objects, 1, sizeof memory_objects);
    memset(memory_objects, 0, sizeof memory_objects);
    memset(memory_sizes, 1, sizeof memory_sizes);
    return (struct memory){.args = args, .before = ga_bench_resident(args)};
}

static uint64_t memory_look(struct memory *memory)
{
    uint64_t now = ga_bench_resident(memory->args);
    now = now > memory->before ? now - memory->before : 0;
    memory->peak = now > memory->peak ? now : memory->peak;
    return now;
}

/* live: the most that was live, over which both are given. */
static void memory_end(struct memory *memory, uint64_t live, const char *peak, const char *after)
{
    uint64_t rest = memory_look(memory);
    ga_bench_result(peak, (double)memory->peak / (double)live);
    ga_bench_result(after, (double)rest / (double)live);
}

static void memory_put(struct memory *memory, uint32_t i, uint32_t size)
{
    memory->live += size;
    memory_sizes[i] = size;
    memory_objects[i] = memset(ga_bench_make(size, i), 1, size);
}

static void memory_drop(struct memory *memory, uint32_t i)
{
    if (memory_objects[i])
        memory->live -= memory_sizes[i];
    BENCH_FREE(memory_objects[i]);
    memory_objects[i] = NULL;
}

static void row_memory_batch(const struct ga_bench_args *args)
{
    static struct ga_bench_batch batch;
    uint64_t live = 0;
    ga_bench_batch_choose(8, 1024, &batch);
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
        live += batch.sizes[i];
    struct memory memory = memory_begin(args);
    for (unsigned round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
            memory_put(&memory, i, batch.sizes[i]);
        memory_look(&memory);
        for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
            memory_drop(&memory, batch.order[i]);
    }
    memory_end(&memory, live, "memory-batch-peak", "memory-batch-after");
}

static void row_memory_churn(const struct ga_bench_args *args)
{
    uint32_t count = args->smoke ? 10000 : GA_BENCH_MEMORY_OBJECTS;
    uint64_t state = 42, most = 0;
    struct memory memory = memory_begin(args);
    for (uint32_t i = 0; i < count; i++)
        memory_put(&memory, i, 16 + (uint32_t)(ga_bench_random(&state) % 241));
    for (uint32_t n = 0; n < 2 * count; n++) {
        uint64_t random = ga_bench_random(&state);
        memory_drop(&memory, (uint32_t)random % count);
        memory_put(&memory, (uint32_t)random % count, 16 + (uint32_t)((random >> 32) % 241));
        most = memory.live > most ? memory.live : most;
    }
    memory_look(&memory);
    for (uint32_t i = 0; i < count; i++)
        memory_drop(&memory, i);
    memory_end(&memory, most, "memory-churn-1M-peak", "memory-churn-1M-after");
}

/* The mix that fragments: small objects, nine of ten of which go, at random; then ever larger ones
 * in place of what went, which do not fit into the gaps. From 64 B to 8,000 B. */
static void row_memory_mix(const struct ga_bench_args *args)
{
    uint64_t target = args->smoke ? UINT64_C(1) << 20 : UINT64_C(32) << 20, state = 42;
    struct memory memory = memory_begin(args);
    uint32_t count = 0;
    for (uint32_t size = 64; size <= 8192; size *= 5) {
        for (uint32_t i = 0; i < count; i++)
            if (ga_bench_random(&state) % 10 != 0)
                memory_drop(&memory, i);
        while (memory.live < target)
            memory_put(&memory, count++, size / 2 + (uint32_t)(ga_bench_random(&state) % size));
        memory_look(&memory);
    }
    for (uint32_t i = 0; i < count; i++)
        memory_drop(&memory, i);
    memory_end(&memory, target, "memory-mix-peak", "memory-mix-after");
}

#endif
