/* How soon memory goes back to the system after most of a heap was freed, and what that costs
 * somebody who works meanwhile: `./dev bench scavenge`. The heap is the bench's own. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"

#define OBJECT_BYTES UINT64_C(8192) /* each in a span of its own */
#define KEPT         10u            /* one in so many, at random */
#define MIB          (UINT64_C(1) << 20)
#define SLICES       40u /* of the churn, before and while memory goes back */
#define SLOTS        1000u

struct plan {
    uint64_t bytes;
    unsigned seconds;  /* to look at most */
    unsigned slice_ms; /* of churn */
    uint64_t slack;    /* bytes: what a small heap keeps besides */
};

static double clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_scavenge: %s\n", what);
    ga_daemon_clean_up();
    exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t resident(const char *name)
{
    struct stat st;
    int fd = ga_daemon_open_object(name, "heap", O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0)
        fail("the heap is gone");
    close(fd);
    return (uint64_t)st.st_blocks * 512;
}

/* ---- churn: what a thread does in its time on a core, all allocating and freeing ---- */

static double churn_slice(struct goalloc_heap *heap, void **slots, uint64_t *random, unsigned ms)
{
    double began = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    double now = began;
    uint64_t n = 0;
    while (now - began < ms) {
        for (unsigned i = 0; i < 1000; i++) {
            void **slot = &slots[next_random(random) % SLOTS];
            goalloc_free(heap, *slot);
            *slot = goalloc_malloc(heap, 16 + next_random(random) % 1000);
            if (!*slot)
                fail("the heap is full");
            *(char *)*slot = 1;
        }
        n += 1000;
        now = clock_ms(CLOCK_THREAD_CPUTIME_ID);
    }
    return (double)n / (now - began) / 1e3; /* million pairs a second */
}

static int compare(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static void print_churn(const char *when, double *rates)
{
    qsort(rates, SLICES, sizeof(*rates), compare);
    double median = rates[SLICES / 2];
    printf("churn %s: %.2f million pairs/s, and from %.1f %% below to %.1f %% above that\n", when,
           median, 100 * (1 - rates[SLICES / 10] / median),
           100 * (rates[SLICES * 9 / 10] / median - 1));
}

/* ---- the heap ---- */

static struct goalloc_heap *attach(const char *path)
{
    struct goalloc_heap *heap;
    if (goalloc_attach(path, NULL, &heap) < 0)
        fail(goalloc_attach_error());
    return heap;
}

/* By a process that then goes: what others free of it, no thread keeps for itself. */
static void **fill(const char *path, uint64_t n)
{
    int status = 0;
    void **objects =
        mmap(NULL, n * sizeof(*objects), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (objects == MAP_FAILED)
        fail(strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        struct goalloc_heap *heap = attach(path);
        for (uint64_t i = 0; i < n; i++) {
            objects[i] = goalloc_malloc(heap, OBJECT_BYTES);
            if (!objects[i])
                _exit(1);
            memset(objects[i], 1, OBJECT_BYTES);
        }
        goalloc_detach(heap);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail("the heap cannot be filled");
    return objects;
}

static uint64_t free_most(struct goalloc_heap *heap, void **objects, uint64_t n, uint64_t *random)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (next_random(random) % KEPT == 0)
            kept++;
        else
            goalloc_free(heap, objects[i]);
    }
    return kept;
}

/* Look until the heap takes no more than 15 % over what lives, and the churn has had its slices. */
static bool watch(struct goalloc_heap *heap, const char *name, const struct plan *plan,
                  uint64_t live, void **slots, uint64_t *random)
{
    double rates[SLICES];
    double began = now_ms();
    double done_ms = 0;
    unsigned i = 0;
    while (i < SLICES || (done_ms == 0 && now_ms() - began < plan->seconds * 1e3)) {
        double rate = churn_slice(heap, slots, random, plan->slice_ms);
        if (i < SLICES)
            rates[i++] = rate;
        uint64_t now = resident(name);
        if (done_ms == 0 && now <= live + live / 100 * 15 + plan->slack)
            done_ms = now_ms() - began;
    }
    uint64_t now = resident(name);
    printf("after %.1f s: %.1f MiB resident, %.1f %% over %.1f MiB live\n",
           (now_ms() - began) / 1e3, (double)now / (double)MIB,
           100 * ((double)now / (double)live - 1), (double)live / (double)MIB);
    if (done_ms > 0)
        printf("%s after %.1f s\n", plan->slack ? "gone" : "within 15 % of live", done_ms / 1e3);
    print_churn("while memory goes back", rates);
    return done_ms > 0;
}

static bool measure(const char *name, const char *path, const struct plan *plan)
{
    uint64_t random = 88172645463325252u;
    static void *slots[SLOTS];
    double rates[SLICES];
    uint64_t n = plan->bytes / OBJECT_BYTES;
    void **objects = fill(path, n);
    struct goalloc_heap *heap = attach(path);
    for (unsigned i = 0; i < SLICES; i++)
        rates[i] = churn_slice(heap, slots, &random, plan->slice_ms);
    print_churn("before", rates);
    uint64_t kept = free_most(heap, objects, n, &random);
    printf("%.1f MiB resident when 90 %% of %lu objects of %lu B were freed\n",
           (double)resident(name) / (double)MIB, n, OBJECT_BYTES);
    bool done = watch(heap, name, plan, kept * OBJECT_BYTES, slots, &random);
    goalloc_detach(heap);
    munmap(objects, n * sizeof(*objects));
    return done;
}

/* As much of it as /dev/shm has twice. */
static uint64_t affordable(uint64_t bytes)
{
    struct statvfs fs;
    if (statvfs("/dev/shm", &fs) < 0 || fs.f_blocks == 0)
        return bytes;
    uint64_t half = (uint64_t)fs.f_bavail * fs.f_frsize / 2;
    if (half < bytes)
        printf("/dev/shm has no more: %.1f GiB instead of %.1f\n", (double)half / 1073741824.0,
               (double)bytes / 1073741824.0);
    return half < bytes ? half : bytes;
}

static struct plan parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"gib", required_argument, NULL, 'g'}, {"smoke", no_argument, NULL, 'q'}, {0}};
    struct plan plan = {.bytes = UINT64_C(4) << 30, .seconds = 60, .slice_ms = 100};
    int id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == 'g' && atoi(optarg) > 0)
            plan.bytes = (uint64_t)atoi(optarg) << 30;
        else if (id == 'q')
            plan =
                (struct plan){.bytes = 256 * MIB, .seconds = 60, .slice_ms = 1, .slack = 12 * MIB};
        else
            exit(2);
    }
    if (optind < argc) {
        fprintf(stderr, "usage: bench_scavenge [--gib N] [--smoke]\n");
        exit(2);
    }
    plan.bytes = affordable(plan.bytes);
    return plan;
}

int main(int argc, char **argv)
{
    struct ga_daemon daemon;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct plan plan = parse(argc, argv);
    const char *name = ga_daemon_heap("scavenge");
    const char *path = ga_daemon_path("scavenge");
    const char *arguments[] = {"--name", name, "--socket", path, NULL};
    if (!ga_daemon_start(&daemon, 0, arguments)) {
        ga_daemon_end(&daemon, SIGTERM);
        fail(daemon.text);
    }
    bool done = measure(name, path, &plan);
    bool ended = ga_daemon_end(&daemon, SIGTERM) == 0;
    return ga_daemon_clean_up() == 0 && ended && done ? 0 : 1;
}
