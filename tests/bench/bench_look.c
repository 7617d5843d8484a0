/* What it costs to look at a large heap, and whom it holds up: `./dev bench look`. Each command of
 * goallocctl by the clock and by its own time on a core, the longest that somebody else waited for
 * the server meanwhile, and the longest turn of the server's loop so far, by both clocks: on a busy
 * machine only the times on a core tell of goalloc. The heap is the bench's own. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"

#define OBJECT_BYTES 1024u /* eight a span of one page: as many spans as a heap can have */
#define ASK_US       500u
#define WORDS_MAX    8

struct plan {
    uint64_t heap_bytes;
    unsigned nruns; /* of each command, of which the longest counts */
};

/* What this process and its children share. */
struct shared {
    _Atomic uint64_t longest_ns; /* that the child that asks has waited, since it was set to 0 */
    uint64_t nobjects;
    void *object[];
};

static const char *name, *path;
static struct shared *shared;
static struct ga_run run;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_look: %s\n", what);
    ga_daemon_clean_up();
    exit(1);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 60000};
    struct goalloc_heap *heap;
    if (goalloc_attach(path, &options, &heap) == 0)
        return heap;
    fprintf(stderr, "bench_look: %s\n", goalloc_attach_error());
    _exit(1);
}

static void start_server(struct ga_daemon *daemon)
{
    const struct ga_daemon_setup setup = {.keep = true};
    const char *const arguments[] = {"--name", name, "--socket", path, "--limit", "64G", NULL};
    if (!ga_daemon_launch(daemon, &setup, arguments) || !ga_daemon_wait(daemon)) {
        ga_daemon_end(daemon, SIGTERM);
        fail(daemon->text);
    }
}

/* ---- what processes do with the heap ---- */

/* One object in four is freed at random, so that spans differ. */
static void fill(void)
{
    struct goalloc_heap *heap = attach();
    srandom(1);
    for (uint64_t i = 0; i < shared->nobjects; i++) {
        shared->object[i] = goalloc_malloc(heap, OBJECT_BYTES);
        if (!shared->object[i])
            _exit(1);
    }
    for (uint64_t i = 0; i < shared->nobjects; i++) {
        if (random() % 4 == 0) {
            goalloc_free(heap, shared->object[i]);
            shared->object[i] = NULL;
        }
    }
    goalloc_detach(heap);
    _exit(0);
}

/* In spans of nobody: so the server has to look at each of these. */
static void free_some(void)
{
    struct goalloc_heap *heap = attach();
    for (uint64_t i = 0; i < shared->nobjects; i++) {
        if (shared->object[i] && i % 64 < 8 && random() % 2) {
            goalloc_free(heap, shared->object[i]);
            shared->object[i] = NULL;
        }
    }
    goalloc_detach(heap);
    _exit(0);
}

static void ask_on(void)
{
    struct goalloc_heap *heap = attach();
    for (;;) {
        void *found;
        uint64_t asked = now_ns();
        (void)goalloc_lookup(heap, "nothing", &found);
        uint64_t took = now_ns() - asked;
        if (took > atomic_load(&shared->longest_ns))
            atomic_store(&shared->longest_ns, took);
        usleep(ASK_US);
    }
}

static pid_t start(void (*work)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        fail(strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        work();
    }
    return pid;
}

static double do_whole(void (*work)(void), const char *what)
{
    int status;
    uint64_t began = now_ns();
    pid_t pid = start(work);
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        fail(what);
    return (double)(now_ns() - began) / 1e9;
}

/* ---- looking ---- */

static uint64_t cpu_ns_of_children(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void ctl(const char *const *words)
{
    const char *arguments[WORDS_MAX + 3] = {"--socket", path};
    size_t n = 2;
    for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
        arguments[n++] = words[i];
    if (!ga_run(&run, GOALLOCCTL_PATH, arguments) || run.code != 0)
        fail(run.err ? run.err : "goallocctl cannot be started");
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void look(const struct plan *plan, const char *const *words)
{
    uint64_t took_ns = 0, cpu_ns = 0;
    char text[128] = "";
    for (size_t i = 0; words[i] && strcmp(words[i], "-o") != 0; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "", words[i]);
    atomic_store(&shared->longest_ns, 0);
    for (unsigned i = 0; i < plan->nruns; i++) {
        uint64_t cpu = cpu_ns_of_children();
        uint64_t began = now_ns();
        ctl(words);
        took_ns = max(took_ns, now_ns() - began);
        cpu_ns = max(cpu_ns, cpu_ns_of_children() - cpu);
    }
    uint64_t waited_ns = atomic_load(&shared->longest_ns);
    ctl((const char *const[]){"status", "--json", NULL});
    printf("%-26.26s %9.1f %9.1f %9.1f %9.2f %9.2f\n", text, (double)took_ns / 1e6,
           (double)cpu_ns / 1e6, (double)waited_ns / 1e6,
           (double)ga_json_number_of(run.out, "longest_turn_ns") / 1e6,
           (double)ga_json_number_of(run.out, "longest_turn_cpu_ns") / 1e6);
}

static void look_with_all(const struct plan *plan)
{
    char *file = strdup(ga_daemon_path("answer"));
    const char *const commands[][WORDS_MAX] = {
        {"status"},
        {"stats"},
        {"map", "-o", file},
        {"map", "--by", "occupancy", "-o", file},
        {"map", "--by", "age", "-o", file},
        {"classes"},
        {"clients"},
        {"arenas"},
        {"top", "--once", "--interval", "200"},
        {"spans", "--limit", "10"},
        {"spans", "--json"},
        {"stats", "--recount"},
        {"profile", "-o", file},
        {"sharing"},
    };
    printf("%-26s %9s %9s %9s %9s %9s\n", "", "", "on a", "others", "longest", "on a");
    printf("%-26s %9s %9s %9s %9s %9s\n", "ms", "took", "core", "waited", "turn", "core");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        look(plan, commands[i]);
    free(file);
}

static struct plan parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"gib", required_argument, NULL, 'g'}, {"smoke", no_argument, NULL, 'q'}, {0}};
    struct plan plan = {.heap_bytes = UINT64_C(1) << 30, .nruns = 3};
    int id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end = NULL;
        if (id == 'g')
            plan.heap_bytes = strtoull(optarg, &end, 10) << 30;
        else if (id == 'q')
            plan = (struct plan){.heap_bytes = UINT64_C(4) << 20, .nruns = 1};
        if (id == '?' || (end && *end) || plan.heap_bytes == 0 || plan.heap_bytes >> 30 > 64)
            exit(2);
    }
    if (optind < argc) {
        fprintf(stderr, "usage: bench_look [--gib N] [--smoke]\n");
        exit(2);
    }
    return plan;
}

int main(int argc, char **argv)
{
    struct ga_daemon daemon;
    struct plan plan = parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    name = strdup(ga_daemon_heap("look"));
    path = strdup(ga_daemon_path("look"));
    uint64_t nobjects = plan.heap_bytes / OBJECT_BYTES;
    shared = mmap(NULL, sizeof(*shared) + nobjects * sizeof(void *), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !name || !path)
        fail(strerror(errno));
    shared->nobjects = nobjects;
    start_server(&daemon);
    double filled_s = do_whole(fill, "the heap cannot be filled");
    /* The turns of a new server are those of the looks alone. */
    ga_daemon_end(&daemon, SIGTERM);
    start_server(&daemon);
    pid_t asker = start(ask_on);
    printf("%lu objects of %u B, of which one in four was freed, in %.1f s\n", nobjects,
           OBJECT_BYTES, filled_s);
    look_with_all(&plan);
    do_whole(free_some, "objects cannot be freed");
    printf("after frees in spans that nobody leases:\n");
    plan.nruns = 1; /* then it has been swept */
    look(&plan, (const char *const[]){"stats", NULL});
    kill(asker, SIGKILL);
    waitpid(asker, NULL, 0);
    bool ended = ga_daemon_end(&daemon, SIGTERM) == 0;
    return ga_daemon_clean_up() >= 0 && ended ? 0 : 1;
}
