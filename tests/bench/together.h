/* The rows of several threads: in one process where the family's heap is one process's, in several
 * where it spans them. See rows.h and work.h. Read by C and C++. */
#ifndef GA_TESTS_BENCH_TOGETHER_H
#define GA_TESTS_BENCH_TOGETHER_H

#include "crew.h"
#include "ring.h"
#include "work.h"

#define GA_BENCH_HANDOFF_CHUNK   1000u
#define GA_BENCH_LARSON_THREADS  2u
#define GA_BENCH_LARSON_OBJECTS  1000u
#define GA_BENCH_STORM_PROCESSES 4u
#define GA_BENCH_STORM_THREADS   2u /* of each process */
#define GA_BENCH_STORM_SLOTS     4096u
#define GA_BENCH_STORM_CHUNK     100u

static unsigned cores_of(const struct ga_bench_args *args)
{
    return args->cores[0] == args->cores[1] ? 1 : 2;
}

/* --- handoff --- */

/* Hand objects over for duration_ms, and until the consumer has freed the last of them. */
__attribute__((noinline)) static double produce_for(struct ga_bench_ring *ring,
                                                    uint64_t duration_ms)
{
    uint64_t start = ga_bench_now_ns(), operations = 0;
    do {
        for (uint64_t i = 0; i < GA_BENCH_HANDOFF_CHUNK; i++) {
            void *p = ga_bench_make(64, operations + i);
            ga_bench_ring_push(ring, BENCH_TO_WORD(p));
        }
        operations += GA_BENCH_HANDOFF_CHUNK;
    } while (ga_bench_now_ns() - start < duration_ms * 1000000u);
    ga_bench_ring_drain(ring);
    return (double)(ga_bench_now_ns() - start) / (double)operations;
}

/* The consumer: read and free what comes, in order, until a word of 0. It checks what it reads,
 * since a number for objects that got mixed up would mean nothing. */
static void consume(const struct ga_bench_member *member)
{
    struct ga_bench_ring *ring = (struct ga_bench_ring *)member->shared;
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

/* The first short round waits for the consumer to be there at all; the word of 0 ends it. */
static void produce(const struct ga_bench_args *args, struct ga_bench_ring *ring)
{
    ga_bench_pin(args->cores[0]);
    produce_for(ring, 0);
    produce_for(ring, args->warmup_ms);
    ga_bench_result(args->row, produce_for(ring, args->measure_ms));
    ga_bench_ring_push(ring, 0);
}

#if BENCH_PROCESSES
/* The consumer is the odd one, on the second core. */
static void help_handoff(const struct ga_bench_args *args)
{
    struct ga_bench_member like = {args, bench_find_shared(), 1, consume, 0}, consumer;
    ga_bench_members_start(&like, 1, 1, &consumer);
    ga_bench_members_join(&consumer, 1);
}
#endif

static void row_handoff(const struct ga_bench_args *args)
{
    struct ga_bench_ring *ring = (struct ga_bench_ring *)bench_share(sizeof *ring);
#if BENCH_PROCESSES
    pid_t helper = ga_bench_helper_start(args, 1);
    produce(args, ring);
    ga_bench_helper_join(helper);
#else
    struct ga_bench_member like = {args, ring, 1, consume, 0}, consumer;
    ga_bench_members_start(&like, 1, 1, &consumer);
    produce(args, ring);
    ga_bench_members_join(&consumer, 1);
#endif
    bench_unshare(ring);
}

/* --- larson --- */

/* What one thread at a time works on. */
struct larson_array {
    struct ga_bench_churn churn;
    void *objects[GA_BENCH_LARSON_OBJECTS];
};

/* As in Larson and Krishnan's server: who works on objects is not who made them. There are three
 * arrays for two threads; whoever is through with one exchanges it for the one that waits. */
struct larson {
    struct ga_bench_crew crew;
    ga_bench_atomic waiting; /* the array that nobody works on */
    struct larson_array arrays[GA_BENCH_LARSON_THREADS + 1];
};

static void larson_work(const struct ga_bench_member *member)
{
    struct larson *larson = (struct larson *)member->shared;
    struct larson_array *mine = &larson->arrays[member->index];
    ga_bench_churn_fill(&mine->churn);
    ga_bench_crew_join(&larson->crew, member->index);
    while (ga_bench_crew_done(&larson->crew, member->index, ga_bench_churn_chunk(&mine->churn)))
        /* The other thread's objects, as it left them. */
        mine = (struct larson_array *)(uintptr_t)atomic_exchange_explicit(
            &larson->waiting, (uint64_t)(uintptr_t)mine, memory_order_acq_rel);
}

static void row_larson(const struct ga_bench_args *args)
{
    static struct larson larson;
    struct ga_bench_member members[GA_BENCH_LARSON_THREADS];
    struct ga_bench_member like = {args, &larson, 0, larson_work, 0};
    for (unsigned i = 0; i <= GA_BENCH_LARSON_THREADS; i++) {
        struct ga_bench_churn churn = {larson.arrays[i].objects, GA_BENCH_LARSON_OBJECTS, i};
        larson.arrays[i].churn = churn;
    }
    ga_bench_churn_fill(&larson.arrays[GA_BENCH_LARSON_THREADS].churn);
    atomic_store_explicit(&larson.waiting,
                          (uint64_t)(uintptr_t)&larson.arrays[GA_BENCH_LARSON_THREADS],
                          memory_order_relaxed);
    ga_bench_members_start(&like, 0, GA_BENCH_LARSON_THREADS, members);
    ga_bench_crew_await(&larson.crew, GA_BENCH_LARSON_THREADS);
    ga_bench_result(args->row, ga_bench_crew_measure(args, &larson.crew, GA_BENCH_LARSON_THREADS,
                                                     cores_of(args)));
    ga_bench_crew_stop(&larson.crew);
    ga_bench_members_join(members, GA_BENCH_LARSON_THREADS);
    for (unsigned i = 0; i <= GA_BENCH_LARSON_THREADS; i++)
        ga_bench_churn_empty(&larson.arrays[i].churn);
}

/* --- storm --- */

/* One table for all: an operation puts a new object into a random slot and frees what was there,
 * which most times is another thread's, and of another process. */
struct storm {
    struct ga_bench_crew crew;
    ga_bench_atomic slots[GA_BENCH_STORM_SLOTS]; /* words; 0: empty */
};

static inline void storm_put(ga_bench_atomic *slot, uint64_t word)
{
    /* Acquire pairs with the release of whoever put it there: the object has been written. */
    uint64_t old = atomic_exchange_explicit(slot, word, memory_order_acq_rel);
    if (old != 0)
        BENCH_FREE(BENCH_FROM_WORD(old));
}

__attribute__((noinline)) static uint64_t storm_chunk(struct storm *storm, uint64_t *random)
{
    for (unsigned i = 0; i < GA_BENCH_STORM_CHUNK; i++) {
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t size = 16 + (((*random >> 16) & 0xffff) * 241 >> 16);
        void *p = ga_bench_make(size, i);
        storm_put(&storm->slots[(*random >> 32) % GA_BENCH_STORM_SLOTS], BENCH_TO_WORD(p));
    }
    return GA_BENCH_STORM_CHUNK;
}

static void storm_work(const struct ga_bench_member *member)
{
    struct storm *storm = (struct storm *)member->shared;
    uint64_t random = member->index;
    storm_chunk(storm, &random);
    ga_bench_crew_join(&storm->crew, member->index);
    while (ga_bench_crew_done(&storm->crew, member->index, storm_chunk(storm, &random)))
        continue;
}

#if BENCH_PROCESSES
static void help_storm(const struct ga_bench_args *args)
{
    struct ga_bench_member like = {args, bench_find_shared(), 0, storm_work, 0};
    struct ga_bench_member members[GA_BENCH_STORM_THREADS];
    ga_bench_members_start(&like, args->index * GA_BENCH_STORM_THREADS, GA_BENCH_STORM_THREADS,
                           members);
    ga_bench_members_join(members, GA_BENCH_STORM_THREADS);
}
#endif

static void storm_measure(const struct ga_bench_args *args, struct storm *storm)
{
    const unsigned members = GA_BENCH_STORM_PROCESSES * GA_BENCH_STORM_THREADS;
    ga_bench_crew_await(&storm->crew, members);
    ga_bench_result(args->row, ga_bench_crew_measure(args, &storm->crew, members, cores_of(args)));
    ga_bench_crew_stop(&storm->crew);
}

static void row_storm(const struct ga_bench_args *args)
{
    struct storm *storm = (struct storm *)bench_share(sizeof *storm);
#if BENCH_PROCESSES
    pid_t helpers[GA_BENCH_STORM_PROCESSES];
    for (unsigned i = 0; i < GA_BENCH_STORM_PROCESSES; i++)
        helpers[i] = ga_bench_helper_start(args, i);
    storm_measure(args, storm);
    for (unsigned i = 0; i < GA_BENCH_STORM_PROCESSES; i++)
        ga_bench_helper_join(helpers[i]);
#else
    const unsigned nmembers = GA_BENCH_STORM_PROCESSES * GA_BENCH_STORM_THREADS;
    struct ga_bench_member like = {args, storm, 0, storm_work, 0};
    struct ga_bench_member members[GA_BENCH_STORM_PROCESSES * GA_BENCH_STORM_THREADS];
    ga_bench_members_start(&like, 0, nmembers, members);
    storm_measure(args, storm);
    ga_bench_members_join(members, nmembers);
#endif
    for (unsigned i = 0; i < GA_BENCH_STORM_SLOTS; i++)
        storm_put(&storm->slots[i], 0);
    bench_unshare(storm);
}

#endif
