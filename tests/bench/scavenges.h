/* The row scavenge: how soon memory that was freed is the system's again, and what that costs who
 * works meanwhile. Of goalloc alone; see work.h. */
#ifndef GA_TESTS_BENCH_SCAVENGES_H
#define GA_TESTS_BENCH_SCAVENGES_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
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

/* What the heap is filled with, and what of it is freed. */
struct scavenge_plan {
    size_t object_bytes; /* whole pages, so that nothing is wasted */
    bool left;           /* by a process that is gone; freed at random, and not in runs */
};

/* Fill the heap with count objects. */
static void **scavenge_fill(const struct scavenge_plan *plan, uint64_t count)
{
    int status = 0;
    void **objects = (void **)mmap(NULL, count * sizeof(void *), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (objects == MAP_FAILED)
        ga_bench_die("out of memory");
    pid_t pid = plan->left ? fork() : 0;
    for (uint64_t i = 0; pid == 0 && i < count; i++)
        objects[i] = ga_bench_make(plan->object_bytes, i);
    if (plan->left && pid == 0)
        _exit(0);
    if (plan->left && (waitpid(pid, &status, 0) != pid || status != 0))
        ga_bench_die("the process that fills the heap has failed");
    return objects;
}

/* Free nine of ten runs of the objects, or nine of ten objects. Returns how many bytes stay. */
static uint64_t scavenge_free(const struct scavenge_plan *plan, void **objects, uint64_t count)
{
    uint64_t live_bytes = 0, random = 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t choice =
            plan->left ? ga_bench_random(&random) : i * plan->object_bytes / GA_BENCH_SCAVENGE_RUN;
        if (choice % 10 == 0)
            live_bytes += plan->object_bytes;
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

static void scavenge_of(const struct ga_bench_args *args, const struct scavenge_plan *plan)
{
    static void *small[GA_BENCH_CHURN_4K];
    static struct windows without, with;
    struct ga_bench_churn churn = {small, GA_BENCH_CHURN_4K, 42};
    uint64_t bytes = args->smoke ? UINT64_C(64) << 20 : scavenge_room();
    uint64_t count = bytes / plan->object_bytes;
    ga_bench_pin(args->cores[0]);
    void **objects = scavenge_fill(plan, count);
    ga_bench_churn_fill(&churn);
    ga_bench_churn_chunk(&churn);
    for (unsigned i = 0; i < (args->smoke ? 1u : 30u); i++)
        churn_window(args, &churn, &without);

    uint64_t live_bytes = scavenge_free(plan, objects, count);
    uint64_t took = churn_until_gone(args, &churn, live_bytes, &with);
    scavenge_result(args, "-filled", (double)(bytes >> 20));
    scavenge_result(args, "", (double)took);
    scavenge_result(args, "-resident", scavenge_resident(args, live_bytes));
    scavenge_result(args, "-resident-all",
                    (double)ga_bench_resident_objects(args->objects) / (double)live_bytes);
    scavenge_result(args, "-churn", median_of(with.ns, with.count) / 1000);
    scavenge_result(args, "-churn-without", median_of(without.ns, without.count) / 1000);
    scavenge_result(args, "-churn-slowest", (double)without.ns[without.count - 1] / 1000);
    munmap(objects, count * sizeof(void *));
}

/* Objects that go back to the server when they are freed. */
static void row_scavenge(const struct ga_bench_args *args)
{
    const struct scavenge_plan plan = {64 << 10, false};
    scavenge_of(args, &plan);
}

/* Objects whose spans the thread that frees them leases. */
static void row_scavenge_small(const struct ga_bench_args *args)
{
    const struct scavenge_plan plan = {4 << 10, false};
    scavenge_of(args, &plan);
}

/* Objects in spans that nobody leases, of a page each. */
static void row_scavenge_left(const struct ga_bench_args *args)
{
    const struct scavenge_plan plan = {8 << 10, true};
    scavenge_of(args, &plan);
}

#endif
