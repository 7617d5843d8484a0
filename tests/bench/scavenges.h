/* The row scavenge: how soon memory that was freed is the system's again, and what that costs who
 * works meanwhile. Of goalloc alone; see work.h. */
#ifndef GA_TESTS_BENCH_SCAVENGES_H
#define GA_TESTS_BENCH_SCAVENGES_H

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "loops.h"
#include "own.h"
#include "resident.h"

#define GA_BENCH_SCAVENGE_RUN       (UINT64_C(16) << 20) /* bytes, of which all stay or none */
#define GA_BENCH_SCAVENGE_MARGIN    1.15                 /* of what is live: what may be resident */
#define GA_BENCH_SCAVENGE_MS        10000u
#define GA_BENCH_SCAVENGE_WINDOW_MS 100u
#define GA_BENCH_SCAVENGE_WINDOWS   100u

/* A churn that is timed window by window. */
struct windows {
    uint64_t ns[GA_BENCH_SCAVENGE_WINDOWS]; /* for 1,000 operations */
    size_t count;
};

/* 4 GiB, or what is half of what the machine has left. */
static uint64_t scavenge_room(void)
{
    struct statvfs shm;
    long pages = sysconf(_SC_AVPHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (statvfs("/dev/shm", &shm) < 0 || pages < 0 || page_bytes < 0)
        ga_bench_die("cannot see how much memory there is");
    uint64_t room = (uint64_t)shm.f_bavail * shm.f_frsize / 2;
    uint64_t memory = (uint64_t)pages * (uint64_t)page_bytes / 2;
    room = memory < room ? memory : room;
    return room < UINT64_C(4) << 30 ? room : UINT64_C(4) << 30;
}

/* What is resident of the heap object, over what is live. */
static double scavenge_resident(const struct ga_bench_args *args, uint64_t live_bytes)
{
    return (double)ga_bench_resident_object(args->objects, "heap") / (double)live_bytes;
}

static void churn_window(const struct ga_bench_args *args, struct ga_bench_churn *churn,
                         struct windows *windows)
{
    uint64_t window_ms = args->smoke ? 1 : GA_BENCH_SCAVENGE_WINDOW_MS;
    double ns = ga_bench_work_for(args, ga_bench_churn_chunk, churn, window_ms);
    if (windows->count < GA_BENCH_SCAVENGE_WINDOWS)
        windows->ns[windows->count++] = (uint64_t)(1000 * ns);
}

/* Fill the heap with count objects. */
static void **scavenge_fill(uint64_t count, size_t object_bytes)
{
    void **objects = calloc(count, sizeof(void *));
    if (!objects)
        ga_bench_die("out of memory");
    for (uint64_t i = 0; i < count; i++)
        objects[i] = ga_bench_make(object_bytes, i);
    return objects;
}

/* Free nine of ten runs of the objects. Returns how many bytes stay. */
static uint64_t scavenge_free(void **objects, uint64_t count, size_t object_bytes)
{
    uint64_t live_bytes = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (i * object_bytes / GA_BENCH_SCAVENGE_RUN % 10 == 0)
            live_bytes += object_bytes;
        else
            BENCH_FREE(objects[i]);
    }
    return live_bytes;
}

/* Go on until what was freed is gone, or no longer than that may take. Returns how long it was. */
static uint64_t churn_until_gone(const struct ga_bench_args *args, struct ga_bench_churn *churn,
                                 uint64_t live_bytes, struct windows *windows)
{
    uint64_t limit_ns = (args->smoke ? 20u : GA_BENCH_SCAVENGE_MS) * UINT64_C(1000000);
    uint64_t start = ga_bench_now_ns(), took;
    do {
        churn_window(args, churn, windows);
        took = ga_bench_now_ns() - start;
    } while (took < limit_ns && scavenge_resident(args, live_bytes) > GA_BENCH_SCAVENGE_MARGIN);
    return took;
}

static void scavenge_result(const struct ga_bench_args *args, const char *what, double value)
{
    char line[64];
    snprintf(line, sizeof line, "%s%s", args->row, what);
    ga_bench_result(line, value);
}

/* With objects of that size, which fill whole pages, so that nothing is wasted. */
static void scavenge_of(const struct ga_bench_args *args, size_t object_bytes)
{
    static void *small[GA_BENCH_CHURN_4K];
    static struct windows without, with;
    struct ga_bench_churn churn = {small, GA_BENCH_CHURN_4K, 42};
    uint64_t bytes = args->smoke ? UINT64_C(64) << 20 : scavenge_room();
    uint64_t count = bytes / object_bytes;
    ga_bench_pin(args->cores[0]);
    void **objects = scavenge_fill(count, object_bytes);
    ga_bench_churn_fill(&churn);
    ga_bench_churn_chunk(&churn);
    for (unsigned i = 0; i < (args->smoke ? 1u : 30u); i++)
        churn_window(args, &churn, &without);

    uint64_t live_bytes = scavenge_free(objects, count, object_bytes);
    uint64_t took = churn_until_gone(args, &churn, live_bytes, &with);
    scavenge_result(args, "-filled", (double)(bytes >> 20));
    scavenge_result(args, "", (double)took);
    scavenge_result(args, "-resident", scavenge_resident(args, live_bytes));
    scavenge_result(args, "-resident-all",
                    (double)ga_bench_resident_objects(args->objects) / (double)live_bytes);
    scavenge_result(args, "-churn", median_of(with.ns, with.count) / 1000);
    scavenge_result(args, "-churn-without", median_of(without.ns, without.count) / 1000);
    scavenge_result(args, "-churn-slowest", (double)without.ns[without.count - 1] / 1000);
    free(objects);
}

/* Objects that go back to the server when they are freed. */
static void row_scavenge(const struct ga_bench_args *args)
{
    scavenge_of(args, 64 << 10);
}

/* Objects whose spans the thread that frees them leases. */
static void row_scavenge_small(const struct ga_bench_args *args)
{
    scavenge_of(args, 4 << 10);
}

#endif
