/* The rows that goalloc runs alone, compared with itself: start, crowd and big. See work.h. */
#ifndef GA_TESTS_BENCH_OWN_H
#define GA_TESTS_BENCH_OWN_H

#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crew.h"
#include "loops.h"
#include "resident.h"
#include "work.h"

#define GA_BENCH_STARTS        101u /* odd, so that one is the median */
#define GA_BENCH_CROWD_OBJECTS 100u
#define GA_BENCH_STATS         101u

static int compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double median_of(uint64_t *ns, size_t count)
{
    qsort(ns, count, sizeof ns[0], compare_ns);
    return (double)ns[count / 2];
}

/* --- start --- */

static uint64_t time_process(const struct ga_bench_args *args, const char *option)
{
    const char *options[] = {option, NULL};
    uint64_t start = ga_bench_now_ns();
    ga_bench_helper_join(ga_bench_spawn(args, options));
    return ga_bench_now_ns() - start;
}

/* Whole processes, from their start to their end, in turns: this program attaching and allocating,
 * and this program doing nothing. */
static void row_start(const struct ga_bench_args *args)
{
    static uint64_t attached[GA_BENCH_STARTS], bare[GA_BENCH_STARTS];
    size_t count = args->smoke ? 1 : GA_BENCH_STARTS;
    for (size_t i = 0; i < count; i++) {
        attached[i] = time_process(args, "--start");
        bare[i] = time_process(args, "--probe");
    }
    ga_bench_result("start", median_of(attached, count));
    ga_bench_result("start-without", median_of(bare, count));
}

/* --- crowd --- */

/* A process of the crowd, number index. */
static void help_crowd(const struct ga_bench_args *args)
{
    void *objects[GA_BENCH_CROWD_OBJECTS];
    struct ga_bench_churn churn = {objects, GA_BENCH_CROWD_OBJECTS, args->index};
    struct ga_bench_crew *crew = (struct ga_bench_crew *)bench_find_shared();
    ga_bench_pin(args->cores[args->index % 2]);
    ga_bench_churn_fill(&churn);
    ga_bench_churn_chunk(&churn);
    ga_bench_crew_join(crew, args->index);
    while (ga_bench_crew_done(crew, args->index, ga_bench_churn_chunk(&churn)))
        continue;
    ga_bench_churn_empty(&churn);
}

/* The time that the server has spent on cores. */
static uint64_t server_ns(const struct ga_bench_args *args)
{
    clockid_t clock;
    struct timespec spent;
    if (clock_getcpuclockid(args->server, &clock) != 0 || clock_gettime(clock, &spent) < 0)
        ga_bench_die("cannot read the server's clock");
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static void crowd_result(unsigned count, const char *what, double value)
{
    char line[64];
    snprintf(line, sizeof line, "crowd-%u%s", count, what);
    ga_bench_result(line, value);
}

/* What count processes need, beside the one that measures: their own pages, and what the server
 * and the heap have more than without them. */
static void crowd_of(const struct ga_bench_args *args, unsigned count)
{
    static pid_t pids[GA_BENCH_CREW_MAX];
    struct ga_bench_crew *crew = (struct ga_bench_crew *)bench_share(sizeof *crew);
    uint64_t bytes = 0, before = ga_bench_resident(args);
    for (unsigned i = 0; i < count; i++)
        pids[i] = ga_bench_helper_start(args, i);
    ga_bench_crew_await(crew, count);
    for (unsigned i = 0; i < count; i++)
        bytes += ga_bench_resident_anonymous(pids[i]);
    bytes += ga_bench_resident(args) - before;

    unsigned cores = count > 1 && args->cores[0] != args->cores[1] ? 2 : 1;
    /* Long enough for each to have its turns on the cores; once for warm-up. */
    struct ga_bench_args lasting = *args;
    lasting.measure_ms += 4 * count;
    ga_bench_crew_measure(&lasting, crew, count, cores);
    uint64_t start = ga_bench_now_ns(), spent = server_ns(args);
    double ns = ga_bench_crew_measure(&lasting, crew, count, cores);
    spent = server_ns(args) - spent;
    uint64_t lasted = ga_bench_now_ns() - start;
    ga_bench_crew_stop(crew);
    for (unsigned i = 0; i < count; i++)
        ga_bench_helper_join(pids[i]);
    bench_unshare(crew);
    crowd_result(count, "", ns);
    crowd_result(count, "-server", 100.0 * (double)spent / (double)lasted);
    crowd_result(count, "-memory", (double)bytes / count / 1024);
}

static void row_crowd(const struct ga_bench_args *args)
{
    static const unsigned counts[] = {1, 2, 8, 64, 256, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i] <= args->crowd)
            crowd_of(args, counts[i]);
}

/* --- big --- */

/* Fill the heap with objects of 8..1024 B until they are bytes more. Returns ns for each. */
static double big_grow(uint64_t bytes, const struct ga_bench_batch *batch)
{
    uint64_t start = ga_bench_now_ns(), mallocs = 0;
    for (uint64_t filled = 0; filled < bytes; mallocs++) {
        uint32_t size = batch->sizes[mallocs % GA_BENCH_BATCH_OBJECTS];
        ga_bench_make(size, mallocs);
        filled += size;
    }
    return (double)(ga_bench_now_ns() - start) / (double)mallocs;
}

/* What it costs to work in the heap as it is. */
static void big_look(const struct ga_bench_args *args, const char *batch_line,
                     const char *stats_line)
{
    static uint64_t ns[GA_BENCH_STATS];
    ga_bench_work_for(args, batch_chunk, &batch_state, args->warmup_ms);
    ga_bench_result(batch_line,
                    ga_bench_work_for(args, batch_chunk, &batch_state, args->measure_ms));
    for (size_t i = 0; i < GA_BENCH_STATS; i++) {
        struct goalloc_memstats stats = {.size = sizeof stats};
        uint64_t start = ga_bench_now_ns();
        if (goalloc_memstats(heap, &stats) < 0)
            ga_bench_die("the server tells no statistics");
        ns[i] = ga_bench_now_ns() - start;
    }
    ga_bench_result(stats_line, median_of(ns, GA_BENCH_STATS));
}

/* In a heap of 1 GiB of live objects and then of --gib; the last GiB is the growth. */
static void row_big(const struct ga_bench_args *args)
{
    uint64_t unit = args->smoke ? UINT64_C(1) << 20 : UINT64_C(1) << 30;
    ga_bench_batch_choose(8, 1024, &batch_state.choice);
    ga_bench_pin(args->cores[0]);
    ga_bench_result("big-growth-1", big_grow(unit, &batch_state.choice));
    big_look(args, "big-batch-1", "big-stats-1");
    if (args->gib > 2)
        big_grow((args->gib - 2) * unit, &batch_state.choice);
    ga_bench_result("big-growth", big_grow(unit, &batch_state.choice));
    big_look(args, "big-batch", "big-stats");
}

#endif
