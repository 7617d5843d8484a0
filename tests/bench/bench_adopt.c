/* How long a server takes to be ready over a heap whose server was killed, and how long one takes
 * to take back what a killed process had: `./dev bench adopt`. The heap is the bench's own. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"

#define SMALL_BYTES    64u
#define ONE_SPAN_BYTES 8192u /* an object of this size has a span of its own */

struct plan {
    uint64_t heap_bytes; /* of small objects, for the adoption */
    uint64_t nspans;     /* of the killed process */
};

struct fill {
    uint32_t policy;
    size_t bytes; /* of an object */
    uint64_t n;
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_adopt: %s\n", what);
    ga_daemon_clean_up();
    exit(1);
}

static struct goalloc_heap *attach(const char *path, uint32_t policy)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 60000, .policy = policy};
    struct goalloc_heap *heap;
    if (goalloc_attach(path, &options, &heap) == 0)
        return heap;
    fprintf(stderr, "bench_adopt: %s\n", goalloc_attach_error());
    return NULL;
}

static void start_server(struct ga_daemon *daemon, const char *heap, const char *path)
{
    const char *arguments[] = {"--name", heap, "--socket", path, NULL};
    if (!ga_daemon_start(daemon, 0, arguments)) {
        ga_daemon_end(daemon, SIGTERM);
        fail(daemon->text);
    }
}

/* A process that allocates, detaches unless its objects are to go with it, and says so. */
static void fill_and_stay(const char *path, const struct fill *fill, int done)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct goalloc_heap *heap = attach(path, fill->policy);
    for (uint64_t i = 0; i < fill->n; i++) {
        uint64_t *p = heap ? goalloc_malloc(heap, fill->bytes) : NULL;
        if (!p)
            _exit(1);
        *p = i;
    }
    if (fill->policy == GOALLOC_POLICY_KEEP)
        goalloc_detach(heap);
    if (write(done, "y", 1) == 1)
        pause();
    _exit(1);
}

static pid_t start_filler(const char *path, const struct fill *fill)
{
    char answer = 0;
    int done[2];
    if (pipe(done) < 0)
        fail(strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        close(done[0]);
        fill_and_stay(path, fill, done[1]);
    }
    close(done[1]);
    bool filled = read(done[0], &answer, 1) == 1;
    close(done[0]);
    if (!filled) {
        kill(pid, SIGKILL);
        fail("the heap cannot be filled");
    }
    return pid;
}

static void end_filler(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void read_stats(struct goalloc_heap *heap, struct goalloc_memstats *stats)
{
    *stats = (struct goalloc_memstats){.size = sizeof(*stats)};
    if (goalloc_memstats(heap, stats) < 0)
        fail("the server does not answer");
}

/* Returns how many spans the heap has. */
static uint64_t measure_adoption(struct ga_daemon *daemon, const char *name, const char *path,
                                 uint64_t heap_bytes)
{
    struct fill fill = {GOALLOC_POLICY_KEEP, SMALL_BYTES, heap_bytes / SMALL_BYTES};
    struct goalloc_memstats stats;
    double began = now_ms();
    end_filler(start_filler(path, &fill));
    double filled = now_ms();
    ga_daemon_end(daemon, SIGKILL);
    double killed = now_ms();
    start_server(daemon, name, path);
    double ready = now_ms();
    struct goalloc_heap *heap = attach(path, GOALLOC_POLICY_KEEP);
    if (!heap)
        fail("the heap was not adopted");
    read_stats(heap, &stats);
    goalloc_detach(heap);
    if (stats.heap_objects != fill.n)
        fail("the heap that was adopted is another");
    printf("adoption: %.2f ms from the start of goallocd to READY; %lu objects of %u B, %lu MiB, "
           "filled in %.0f ms\n",
           ready - killed, fill.n, SMALL_BYTES, stats.heap_inuse >> 20, filled - began);
    return stats.spans;
}

/* Somebody else asks all the while: how long that takes is what the others notice. nothers: spans
 * that are not the process's. */
static void measure_recovery(const char *path, uint64_t nspans, uint64_t nothers)
{
    struct fill fill = {GOALLOC_POLICY_PRIVATE, ONE_SPAN_BYTES, nspans};
    struct goalloc_memstats stats;
    pid_t pid = start_filler(path, &fill);
    /* Not before, for a child has the heap already that its parent has. */
    struct goalloc_heap *heap = attach(path, GOALLOC_POLICY_KEEP);
    if (!heap)
        fail("the server does not serve");
    read_stats(heap, &stats);
    uint64_t spans = stats.spans - nothers;
    if (spans < nspans)
        fail("the process has fewer spans than it was to have");
    double killed = now_ms();
    end_filler(pid);
    double longest = 0;
    do {
        double asked = now_ms();
        read_stats(heap, &stats);
        double took = now_ms() - asked;
        longest = took > longest ? took : longest;
        usleep(500);
    } while (stats.spans > nothers);
    printf("recovery: %.2f ms from the kill of a private process with %lu spans until all are "
           "free; meanwhile no request took longer than %.2f ms\n",
           now_ms() - killed, spans, longest);
    goalloc_detach(heap);
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno || *text < '1' || *text > '9' || *end || n > 1000000) {
        fprintf(stderr, "bench_adopt: '%s' is no number from 1 to 1000000\n", text);
        exit(2);
    }
    return n;
}

static struct plan parse(int argc, char **argv)
{
    static const struct option options[] = {{"gib", required_argument, NULL, 'g'},
                                            {"spans", required_argument, NULL, 's'},
                                            {"smoke", no_argument, NULL, 'q'},
                                            {0}};
    struct plan plan = {.heap_bytes = UINT64_C(1) << 30, .nspans = 100000};
    int id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == 'g')
            plan.heap_bytes = number(optarg) << 30;
        else if (id == 's')
            plan.nspans = number(optarg);
        else if (id == 'q')
            plan = (struct plan){.heap_bytes = UINT64_C(1) << 20, .nspans = 100};
        else
            exit(2);
    }
    if (optind < argc) {
        fprintf(stderr, "usage: bench_adopt [--gib N] [--spans N] [--smoke]\n");
        exit(2);
    }
    return plan;
}

int main(int argc, char **argv)
{
    struct ga_daemon daemon;
    struct plan plan = parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *name = ga_daemon_heap("adopt");
    const char *path = ga_daemon_path("adopt");
    start_server(&daemon, name, path);
    uint64_t nspans = measure_adoption(&daemon, name, path, plan.heap_bytes);
    measure_recovery(path, plan.nspans, nspans);
    bool ended = ga_daemon_end(&daemon, SIGTERM) == 0;
    return ga_daemon_clean_up() == 0 && ended ? 0 : 1;
}
