/* The crash-point explorer: see README.md. */
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/explore.h"
#include "crash/trace.h"

#define SKIPPED 77
#define JOBS    2

static void usage(void)
{
    puts("Usage: crash_explorer [OPTION]... [PART-OF-A-SCENARIO'S-NAME]...\n"
         "Kill goalloc's processes at each instruction, and look at what is left.\n\n"
         "  --points N    at most N points of a scenario, evenly spread (all); if no\n"
         "                name is given, of the slow scenarios only some\n"
         "  --goallocd P  the server to explore (that of this build)\n"
         "  --first-fault end a scenario with its first fault\n"
         "  --no-twice    leave out kills during the recovery of a kill\n"
         "  --list        name the scenarios\n"
         "  --verbose     say each fault");
}

/* One scenario of any kind. */
struct task {
    const struct ga_client_scenario *client;
    const struct ga_server_scenario *server;
    bool twice;
};

static const char *name_of(const struct task *task, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s%s", task->server ? task->server->name : task->client->name,
             task->twice ? " || recovery" : "");
    return text;
}

static size_t list_clients(struct task *tasks, bool twice)
{
    size_t n = 0;
    for (size_t group = 0; ga_client_scenarios[group]; group++)
        for (const struct ga_client_scenario *s = ga_client_scenarios[group]; s->name; s++)
            if (!twice || s->twice)
                tasks[n++] = (struct task){.client = s, .twice = twice};
    return n;
}

static size_t list_tasks(struct task *tasks, bool with_twice)
{
    size_t n = list_clients(tasks, false);
    for (size_t group = 0; ga_server_scenarios[group]; group++)
        for (const struct ga_server_scenario *s = ga_server_scenarios[group]; s->name; s++)
            tasks[n++] = (struct task){.server = s};
    return with_twice ? n + list_clients(tasks + n, true) : n;
}

static bool is_wanted(const struct task *task, char *const *parts)
{
    char name[128];
    name_of(task, name, sizeof(name));
    if (!*parts)
        return true;
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return true;
    return false;
}

/* Without names, a short run tries a quarter of what is slow to record, and half of the kills
 * during a recovery; others each time. */
static bool is_left_out(size_t index, const struct task *task,
                        const struct ga_explore_options *options)
{
    bool is_slow =
        task->server ? task->server->adopts || task->server->is_slow : task->client->is_slow;
    if (options->points == 0)
        return false;
    return (is_slow && (index + options->seed) % 4 != 0) ||
           (task->twice && (index + options->seed) % 2 != 0);
}

/* In a child: a scenario and its line. Returns the exit code. */
static int run_task(const struct task *task, const struct ga_explore_options *options, unsigned cpu)
{
    /* A switch between processes on one processor is several times as fast as between two. */
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
    (void)sched_setaffinity(0, sizeof(set), &set);

    /* Which objects are sampled would be left to chance, and those take other steps: none are, or
     * all. */
    bool sampled = task->server ? task->server->sampled : task->client->sampled;
    setenv("GOALLOC_PROFILE_RATE", sampled ? "1" : "0", true);

    struct ga_explored result;
    struct timespec begin;
    struct timespec end;
    char name[128];
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (task->server)
        ga_explore_server(task->server, options, &result);
    else if (task->twice)
        ga_explore_twice(task->client, options, &result);
    else
        ga_explore_client(task->client, options, &result);
    clock_gettime(CLOCK_MONOTONIC, &end);
    bool bad = result.failed || result.leaked || result.corrupted;
    printf("%-58s %7" PRIu32 " %6" PRIu32 " %9" PRIu32 " %6" PRIu64 " %9" PRIu64 " %5ld s%s%s\n",
           name_of(task, name, sizeof(name)), result.ninstructions, result.npoints,
           result.in_flight, result.leaked, result.corrupted, (long)(end.tv_sec - begin.tv_sec),
           bad ? "\n    " : "", bad ? result.fault : "");
    if (options->verbose && result.ndrifted)
        fprintf(stderr, "    %" PRIu32 " runs took another way than the first\n", result.ndrifted);
    fflush(stdout);
    return result.failed ? 2 : bad;
}

static int run_tasks(const struct task *tasks, size_t n, const struct ga_explore_options *options)
{
    int running = 0;
    int nbad = 0;
    size_t next = 0;
    pid_t jobs[JOBS] = {0};
    while (next < n || running > 0) {
        for (unsigned job = 0; job < JOBS && next < n; job++) {
            if (jobs[job])
                continue;
            jobs[job] = fork();
            if (jobs[job] == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                exit(run_task(&tasks[next], options, job));
            }
            next++;
            running++;
        }
        int status = 0;
        pid_t ended = wait(&status);
        for (unsigned job = 0; job < JOBS; job++)
            if (jobs[job] == ended)
                jobs[job] = 0;
        running--;
        nbad += status != 0;
    }
    return nbad;
}

/* What is asked for beside the options of explorations. */
struct asked {
    bool with_twice;
    bool list;
};

/* Returns -1 to go on, or the exit code. */
static int read_options(int argc, char *argv[], struct ga_explore_options *options,
                        struct asked *asked)
{
    enum { POINTS = 1, GOALLOCD, FIRST_FAULT, NO_TWICE, LIST, VERBOSE, HELP };
    static const struct option known[] = {
        {"points", required_argument, NULL, POINTS},
        {"goallocd", required_argument, NULL, GOALLOCD},
        {"first-fault", no_argument, NULL, FIRST_FAULT},
        {"no-twice", no_argument, NULL, NO_TWICE},
        {"list", no_argument, NULL, LIST},
        {"verbose", no_argument, NULL, VERBOSE},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case POINTS:
            options->points = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case GOALLOCD:
            options->goallocd = optarg;
            break;
        case FIRST_FAULT:
            options->first_fault = true;
            break;
        case NO_TWICE:
            asked->with_twice = false;
            break;
        case LIST:
            asked->list = true;
            break;
        case VERBOSE:
            options->verbose = true;
            break;
        case HELP:
            usage();
            return 0;
        default:
            usage();
            return 2;
        }
    }
    return -1;
}

int main(int argc, char *argv[])
{
    struct ga_explore_options options = {.goallocd = GOALLOCD_PATH, .seed = (uint32_t)time(NULL)};
    struct asked asked = {.with_twice = true};
    int code = read_options(argc, argv, &options, &asked);
    if (code >= 0)
        return code;
    /* Every function is bound before an operation begins, and not on the way. */
    if (!getenv("LD_BIND_NOW")) {
        setenv("LD_BIND_NOW", "1", 1);
        execv("/proc/self/exe", argv);
    }
    if (!ga_trace_is_allowed()) {
        puts("skipped: ptrace is refused here");
        return SKIPPED;
    }
    const char *seed = getenv("GOALLOC_SEED");
    if (seed)
        options.seed = (uint32_t)strtoul(seed, NULL, 10);
    if (options.points)
        printf("seed: GOALLOC_SEED=%" PRIu32 "\n", options.seed);

    struct task tasks[256];
    size_t n = 0;
    size_t total = list_tasks(tasks, asked.with_twice);
    for (size_t i = 0; i < total; i++)
        if (is_wanted(&tasks[i], argv + optind) &&
            (asked.list || argv[optind] || !is_left_out(i, &tasks[i], &options)))
            tasks[n++] = tasks[i];
    char name[128];
    for (size_t i = 0; i < n && asked.list; i++)
        puts(name_of(&tasks[i], name, sizeof(name)));
    if (asked.list || n == 0)
        return n == 0 ? 2 : 0;
    printf("%-58s %7s %6s %9s %6s %9s\n", "scenario", "instr.", "points", "in flight", "leaked",
           "corrupted");
    fflush(stdout);
    int nbad = run_tasks(tasks, n, &options);
    printf("%zu scenarios, %d with faults\n", n, nbad);
    return nbad > 0;
}
