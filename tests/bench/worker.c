/* The part of a worker that is not measured: see worker.h. A worker is started anew for each single
 * run, so that no run inherits another's heap, and prints lines of "name value", one for each
 * number that it measures. */
#include "worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

void ga_bench_die(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    _exit(1);
}

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t ga_bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t ga_bench_work_ns(const struct ga_bench_args *args)
{
    return read_clock(args->cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

void ga_bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        ga_bench_die("cannot run on core %d: %s", core, strerror(errno));
}

uint64_t ga_bench_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void ga_bench_batch_choose(uint32_t least, uint32_t greatest, struct ga_bench_batch *batch)
{
    /* A fixed seed: every family and run gets the same work. */
    uint64_t state = 42;
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++) {
        batch->sizes[i] = least + (uint32_t)(ga_bench_random(&state) % (greatest - least + 1));
        batch->order[i] = i;
    }
    for (uint32_t i = GA_BENCH_BATCH_OBJECTS - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(ga_bench_random(&state) % (i + 1));
        uint32_t chosen = batch->order[j];
        batch->order[j] = batch->order[i];
        batch->order[i] = chosen;
    }
}

void ga_bench_result(const char *line, double value)
{
    printf("%s %.4f\n", line, value);
}

static void *member_main(void *data)
{
    struct ga_bench_member *member = data;
    /* Cores in turns, so that each has as many of them. */
    ga_bench_pin(member->args->cores[member->index % 2]);
    member->work(member);
    return NULL;
}

void ga_bench_members_start(const struct ga_bench_member *like, unsigned first, unsigned count,
                            struct ga_bench_member *members)
{
    for (unsigned i = 0; i < count; i++) {
        members[i] = *like;
        members[i].index = first + i;
        if (pthread_create(&members[i].thread, NULL, member_main, &members[i]) != 0)
            ga_bench_die("cannot start a thread");
    }
}

void ga_bench_members_join(struct ga_bench_member *members, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pthread_join(members[i].thread, NULL);
}

/* A helper that failed would leave its like waiting. Only looks at the child, so that
 * ga_bench_helper_join still finds it. */
static void on_child(int signal_number)
{
    (void)signal_number;
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
        (info.si_code != CLD_EXITED || info.si_status != 0))
        _exit(1);
}

pid_t ga_bench_spawn(const struct ga_bench_args *args, const char *const *options)
{
    char cores[32];
    snprintf(cores, sizeof cores, "--cores=%d,%d", args->cores[0], args->cores[1]);
    const char *argv[16] = {args->program, cores, "--heap", args->heap ? args->heap : ""};
    for (size_t i = 0; options[i]; i++)
        argv[4 + i] = options[i];
    pid_t pid;
    /* posix_spawn takes char *const * for historical reasons and changes nothing. */
    int err =
        posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (err != 0)
        ga_bench_die("cannot start another process: %s", strerror(err));
    return pid;
}

pid_t ga_bench_helper_start(const struct ga_bench_args *args, unsigned index)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, NULL);

    char number[16];
    snprintf(number, sizeof number, "%u", index);
    const char *options[] = {"--row", args->row, "--help-as", number, NULL};
    return ga_bench_spawn(args, options);
}

void ga_bench_helper_join(pid_t helper)
{
    int status;
    while (waitpid(helper, &status, 0) < 0)
        if (errno != EINTR)
            ga_bench_die("cannot wait for a helper: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ga_bench_die("a helper failed");
}

/* The dynamic linker only warns when it cannot preload a library, and a LD_PRELOAD from outside
 * would measure another allocator than the table names: so ask where malloc comes from. */
static void check_malloc(const char *library)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (!address || dladdr(address, &info) == 0)
        ga_bench_die("cannot tell where malloc comes from");
    if (!strstr(info.dli_fname, library))
        ga_bench_die("malloc comes from %s, not from %s", info.dli_fname, library);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > UINT32_MAX)
        ga_bench_die("%s is no number", text);
    return value;
}

/* Take one option. Returns whether it is known. */
static bool take(int option, struct ga_bench_args *args)
{
    switch (option) {
    case 'r':
        args->row = optarg;
        return true;
    case 'h':
        args->heap = optarg;
        return true;
    case 'o':
        args->objects = optarg;
        return true;
    case 'f':
        args->malloc_from = optarg;
        return true;
    case 'w':
        args->warmup_ms = parse_number(optarg);
        return true;
    case 'm':
        args->measure_ms = parse_number(optarg);
        return true;
    case 'O':
        args->operations = parse_number(optarg);
        return true;
    case 'g':
        args->gib = parse_number(optarg);
        return true;
    case 'n':
        args->crowd = parse_number(optarg);
        return true;
    case 'c':
        return sscanf(optarg, "%d,%d", &args->cores[0], &args->cores[1]) == 2;
    case 'S':
        args->server = (pid_t)parse_number(optarg);
        return true;
    case 'H':
        args->help = true;
        args->index = (unsigned)parse_number(optarg);
        return true;
    case 's':
        args->start = true;
        return true;
    case 't':
        args->cpu_time = true;
        return true;
    case 'k':
        args->smoke = true;
        return true;
    case 'p':
        args->probe = true;
        return true;
    default:
        return false;
    }
}

static void parse(int argc, char **argv, struct ga_bench_args *ret_args)
{
    static const struct option options[] = {
        {"row", required_argument, NULL, 'r'},
        {"heap", required_argument, NULL, 'h'},
        {"objects", required_argument, NULL, 'o'},
        {"warmup-ms", required_argument, NULL, 'w'},
        {"measure-ms", required_argument, NULL, 'm'},
        {"operations", required_argument, NULL, 'O'},
        {"gib", required_argument, NULL, 'g'},
        {"crowd", required_argument, NULL, 'n'},
        {"cores", required_argument, NULL, 'c'},
        {"server", required_argument, NULL, 'S'},
        {"help-as", required_argument, NULL, 'H'},
        {"start", no_argument, NULL, 's'},
        {"malloc-from", required_argument, NULL, 'f'},
        {"smoke", no_argument, NULL, 'k'},
        {"cpu-time", no_argument, NULL, 't'},
        {"probe", no_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct ga_bench_args args = {
        .program = argv[0], .warmup_ms = 50, .measure_ms = 200, .gib = 2, .crowd = 64};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take(option, &args))
            ga_bench_die("started by bench_run, which knows its options");
    if (optind != argc || (!args.row && !args.probe && !args.start))
        ga_bench_die("started by bench_run, which knows its options");
    *ret_args = args;
}

static void work(const struct ga_bench_args *args, const struct ga_bench_work *works, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(works[i].name, args->row) == 0) {
            works[i].run(args);
            return;
        }
    }
    ga_bench_die("there is no row %s", args->row);
}

int ga_bench_worker_main(int argc, char **argv, const struct ga_bench_family *family)
{
    struct ga_bench_args args;
    parse(argc, argv, &args);
    if (args.malloc_from)
        check_malloc(args.malloc_from);
    if (args.probe)
        return 0;
    if (args.help)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    family->open(&args);
    if (args.start) {
        family->once();
        return 0; /* as a program that does not detach */
    }
    if (args.help)
        work(&args, family->helps, family->help_count);
    else
        work(&args, family->works, family->work_count);
    family->close(&args);
    return fflush(stdout) == 0 ? 0 : 1;
}
