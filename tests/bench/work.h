/* The measured loops, the same source for every family. A family's file defines, before it includes
 * this header,
 *   BENCH_ALLOC(size)   a void pointer to size bytes, or NULL
 *   BENCH_FREE(p)       the free of it
 *   BENCH_TO_WORD(p)    what another thread or process of the family can find p by
 *   BENCH_FROM_WORD(w)  p again
 * as macros, so that the allocator is called just as a program would call it, with no function
 * pointer between; and after it row_handoff, whose two sides live differently in each family. Each
 * row works in chunks until its time is over: a slow allocator does fewer, and the clock is read
 * seldom enough not to count. Read by C and C++. */
#ifndef GA_TESTS_BENCH_WORK_H
#define GA_TESTS_BENCH_WORK_H

#include "ring.h"
#include "rows.h"
#include "worker.h"

#define GA_BENCH_PAIR_CHUNK    10000u
#define GA_BENCH_HANDOFF_CHUNK 1000u
#define GA_BENCH_SMALL         64u

/* Make the compiler believe that p is used, lest it drop an allocation that nobody looks at. */
static inline void ga_bench_escape(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* Allocate size bytes and write their first word. */
static inline void *ga_bench_make(size_t size, uint64_t value)
{
    void *p = BENCH_ALLOC(size);
    if (__builtin_expect(!p, 0))
        ga_bench_die("out of memory");
    *(uint64_t *)p = value;
    ga_bench_escape(p);
    return p;
}

static inline double ga_bench_per_op(uint64_t start_ns, uint64_t end_ns, uint64_t operations)
{
    return (double)(end_ns - start_ns) / (double)operations;
}

__attribute__((noinline)) static double pair_for(uint64_t duration_ms)
{
    uint64_t start = ga_bench_now_ns(), now, operations = 0;
    do {
        for (uint64_t i = 0; i < GA_BENCH_PAIR_CHUNK; i++) {
            void *p = ga_bench_make(GA_BENCH_SMALL, i);
            BENCH_FREE(p);
        }
        operations += GA_BENCH_PAIR_CHUNK;
        now = ga_bench_now_ns();
    } while (now - start < duration_ms * 1000000u);
    return ga_bench_per_op(start, now, operations);
}

static double row_pair(const struct ga_bench_args *args)
{
    ga_bench_pin(args->cores[0]);
    pair_for(args->warmup_ms);
    return pair_for(args->measure_ms);
}

__attribute__((noinline)) static double batch_for(const struct ga_bench_batch *batch,
                                                  void **objects, uint64_t duration_ms)
{
    uint64_t start = ga_bench_now_ns(), now, operations = 0;
    do {
        for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
            objects[i] = ga_bench_make(batch->sizes[i], i);
        for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++)
            BENCH_FREE(objects[batch->order[i]]);
        operations += GA_BENCH_BATCH_OBJECTS;
        now = ga_bench_now_ns();
    } while (now - start < duration_ms * 1000000u);
    return ga_bench_per_op(start, now, operations);
}

static double row_batch(const struct ga_bench_args *args)
{
    static struct ga_bench_batch batch;
    static void *objects[GA_BENCH_BATCH_OBJECTS];
    ga_bench_batch_choose(&batch);
    ga_bench_pin(args->cores[0]);
    batch_for(&batch, objects, args->warmup_ms);
    return batch_for(&batch, objects, args->measure_ms);
}

/* Hand objects over for duration_ms, and until the consumer has freed the last of them. */
__attribute__((noinline)) static double produce_for(struct ga_bench_ring *ring,
                                                    uint64_t duration_ms)
{
    uint64_t start = ga_bench_now_ns(), operations = 0;
    do {
        for (uint64_t i = 0; i < GA_BENCH_HANDOFF_CHUNK; i++) {
            void *p = ga_bench_make(GA_BENCH_SMALL, operations + i);
            ga_bench_ring_push(ring, BENCH_TO_WORD(p));
        }
        operations += GA_BENCH_HANDOFF_CHUNK;
    } while (ga_bench_now_ns() - start < duration_ms * 1000000u);
    ga_bench_ring_drain(ring);
    return ga_bench_per_op(start, ga_bench_now_ns(), operations);
}

/* The producer's side of the hand-off: ends with a word of 0, which ends the consumer. The first
 * short round waits for the consumer to be there at all. */
static inline double ga_bench_produce(const struct ga_bench_args *args, struct ga_bench_ring *ring)
{
    ga_bench_pin(args->cores[0]);
    produce_for(ring, 0);
    produce_for(ring, args->warmup_ms);
    double ns = produce_for(ring, args->measure_ms);
    ga_bench_ring_push(ring, 0);
    return ns;
}

/* The consumer's side: read and free what comes, in order, until a word of 0. It checks what it
 * reads, since a number for objects that got mixed up would mean nothing. */
static inline void ga_bench_consume(const struct ga_bench_args *args, struct ga_bench_ring *ring)
{
    ga_bench_pin(args->cores[1]);
    uint64_t expected = 0;
    for (uint64_t word; (word = ga_bench_ring_peek(ring)) != 0; ga_bench_ring_drop(ring)) {
        uint64_t *p = (uint64_t *)BENCH_FROM_WORD(word);
        /* A round of the producer counts from 0 again. */
        if (__builtin_expect(*p != expected && *p != 0, 0))
            ga_bench_die("object %llu came as number %llu", (unsigned long long)*p,
                         (unsigned long long)expected);
        expected = *p + 1;
        BENCH_FREE(p);
    }
    ga_bench_ring_drop(ring);
}

/* The hand-off to a consumer process, for families whose heap spans processes. */
static inline double ga_bench_handoff_to_process(const struct ga_bench_args *args,
                                                 struct ga_bench_ring *ring)
{
    pid_t consumer = ga_bench_consumer_start(args);
    double ns = ga_bench_produce(args, ring);
    ga_bench_consumer_join(consumer);
    return ns;
}

static double row_handoff(const struct ga_bench_args *args);

#define GA_BENCH_WORK(name, text) {#name, row_##name},
static const struct ga_bench_work ga_bench_works[] = {GA_BENCH_ROWS(GA_BENCH_WORK)};
#undef GA_BENCH_WORK

#define GA_BENCH_WORK_COUNT (sizeof ga_bench_works / sizeof ga_bench_works[0])

#endif
