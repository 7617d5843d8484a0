/* How every measured loop is run, and what they have in common; the loops themselves are in
 * loops.h (one thread), together.h (several) and growth.h, the same source for every family. A
 * family's file defines, before it includes those,
 *   BENCH_ALLOC(size)                a void pointer to size bytes, or NULL
 *   BENCH_ALLOC_NOSCAN(size)         the same for bytes that hold no pointers
 *   BENCH_FREE(p)                    the free of it
 *   BENCH_RESIZE(p, old_size, size)  the realloc of it
 *   BENCH_TO_WORD(p)                 what another thread or process of the family can find p by
 *   BENCH_FROM_WORD(w)               p again
 *   BENCH_PROCESSES                  1 if the family's heap spans processes, else 0
 * as macros, so that the allocator is called just as a program would call it, with no function
 * pointer between; and after it bench_share, bench_find_shared and bench_unshare, since what the
 * threads of a row have in common lies elsewhere in each family. Read by C and C++. */
#ifndef GA_TESTS_BENCH_WORK_H
#define GA_TESTS_BENCH_WORK_H

#include "rows.h"
#include "worker.h"

/* An entry of the family's table of rows. */
#define GA_BENCH_WORK(id, name, text) {name, row_##id},

/* Memory that the helpers of a row find: zeroed, at a multiple of 64. */
static void *bench_share(size_t bytes);
#if BENCH_PROCESSES
/* In a helper process: the memory. */
static void *bench_find_shared(void);
#endif
/* Give it back. */
static void bench_unshare(void *p);

/* Make the compiler believe that p is used, lest it drop an allocation that nobody looks at. */
static inline void ga_bench_escape(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* Allocate size bytes, 8 at least, and write the first word. */
static inline void *ga_bench_make(size_t size, uint64_t value)
{
    void *p = BENCH_ALLOC(size);
    if (__builtin_expect(!p, 0))
        ga_bench_die("out of memory");
    *(uint64_t *)p = value;
    ga_bench_escape(p);
    return p;
}

/* Some thousand operations of a row. Returns how many. */
typedef uint64_t ga_bench_chunk(void *state);

/* Work in chunks for duration_ms at least: a slow allocator does fewer, and the clock is read
 * seldom enough not to count. Returns nanoseconds per operation. */
static double ga_bench_work_for(const struct ga_bench_args *args, ga_bench_chunk *chunk,
                                void *state, uint64_t duration_ms)
{
    uint64_t start = ga_bench_work_ns(args), now, operations = 0;
    do {
        operations += chunk(state);
        now = ga_bench_work_ns(args);
    } while (now - start < duration_ms * 1000000u);
    return (double)(now - start) / (double)operations;
}

/* A row of one thread: warm-up, then the measured chunks; or just so many operations. */
static void ga_bench_measure(const struct ga_bench_args *args, ga_bench_chunk *chunk, void *state)
{
    ga_bench_pin(args->cores[0]);
    if (args->operations > 0) {
        uint64_t done = 0;
        while (done < args->operations)
            done += chunk(state);
        ga_bench_result("operations", (double)done);
        return;
    }
    ga_bench_work_for(args, chunk, state, args->warmup_ms);
    ga_bench_result(args->row, ga_bench_work_for(args, chunk, state, args->measure_ms));
}

/* Live objects, random ones of which are replaced. */
struct ga_bench_churn {
    void **objects;
    uint32_t count;
    uint64_t random;
};

/* Allocate all of them, of 16..256 B. */
static void ga_bench_churn_fill(struct ga_bench_churn *churn)
{
    uint64_t state = churn->random;
    for (uint32_t i = 0; i < churn->count; i++)
        churn->objects[i] = ga_bench_make(16 + ga_bench_random(&state) % 241, i);
}

static void ga_bench_churn_empty(struct ga_bench_churn *churn)
{
    for (uint32_t i = 0; i < churn->count; i++)
        BENCH_FREE(churn->objects[i]);
}

/* The choice is part of the measured loop, and cheap: one multiplication (Knuth's), whose high bits
 * are good. */
static inline void ga_bench_churn_once(struct ga_bench_churn *churn)
{
    churn->random = churn->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t i = (uint32_t)(((churn->random >> 32) * churn->count) >> 32);
    size_t size = 16 + (((churn->random >> 16) & 0xffff) * 241 >> 16);
    BENCH_FREE(churn->objects[i]);
    churn->objects[i] = ga_bench_make(size, i);
}

__attribute__((noinline)) static uint64_t ga_bench_churn_chunk(void *state)
{
    struct ga_bench_churn *churn = (struct ga_bench_churn *)state;
    for (unsigned i = 0; i < 1000; i++)
        ga_bench_churn_once(churn);
    return 1000;
}

#endif
