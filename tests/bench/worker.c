/* The part of a worker that is not measured: see worker.h. A worker is started anew for each single
 * run, so that no run inherits another's heap, and prints one line, "row ns_per_op". */
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

uint64_t ga_bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void ga_bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        ga_bench_die("cannot run on core %d: %s", core, strerror(errno));
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void ga_bench_batch_choose(struct ga_bench_batch *batch)
{
    /* A fixed seed: every family and run gets the same work. */
    uint64_t state = 42;
    for (uint32_t i = 0; i < GA_BENCH_BATCH_OBJECTS; i++) {
        uint64_t range = GA_BENCH_BATCH_MAX - GA_BENCH_BATCH_MIN + 1;
        batch->sizes[i] = GA_BENCH_BATCH_MIN + (uint32_t)(next_random(&state) % range);
        batch->order[i] = i;
    }
    for (uint32_t i = GA_BENCH_BATCH_OBJECTS - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(next_random(&state) % (i + 1));
        uint32_t chosen = batch->order[j];
        batch->order[j] = batch->order[i];
        batch->order[i] = chosen;
    }
}

/* A consumer that failed would leave the producer waiting at a full ring. Only looks at the child,
 * so that ga_bench_consumer_join still finds it. */
static void on_child(int signal_number)
{
    (void)signal_number;
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
        (info.si_code != CLD_EXITED || info.si_status != 0))
        _exit(1);
}

pid_t ga_bench_consumer_start(const struct ga_bench_args *args)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, NULL);

    char cores[32];
    snprintf(cores, sizeof cores, "--cores=%d,%d", args->cores[0], args->cores[1]);
    char consume[] = "--consume", heap_flag[] = "--heap";
    char *heap = strdup(args->heap ? args->heap : "");
    char *program = strdup(args->program);
    if (!heap || !program)
        ga_bench_die("out of memory");
    char *const argv[] = {program, consume, cores, heap_flag, heap, NULL};
    pid_t pid;
    int err = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
    if (err != 0)
        ga_bench_die("cannot start the consumer: %s", strerror(err));
    free(program);
    free(heap);
    return pid;
}

void ga_bench_consumer_join(pid_t consumer)
{
    int status;
    while (waitpid(consumer, &status, 0) < 0)
        if (errno != EINTR)
            ga_bench_die("cannot wait for the consumer: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ga_bench_die("the consumer failed");
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

static uint64_t parse_ms(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > 60000)
        ga_bench_die("%s is no number of milliseconds up to 60000", text);
    return value;
}

static void parse(int argc, char **argv, struct ga_bench_args *ret_args)
{
    static const struct option options[] = {
        {"row", required_argument, NULL, 'r'},
        {"heap", required_argument, NULL, 'h'},
        {"warmup-ms", required_argument, NULL, 'w'},
        {"measure-ms", required_argument, NULL, 'm'},
        {"cores", required_argument, NULL, 'c'},
        {"consume", no_argument, NULL, 'C'},
        {"malloc-from", required_argument, NULL, 'f'},
        {"probe", no_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct ga_bench_args args = {.program = argv[0], .warmup_ms = 50, .measure_ms = 200};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'r')
            args.row = optarg;
        else if (option == 'h')
            args.heap = optarg;
        else if (option == 'w')
            args.warmup_ms = parse_ms(optarg);
        else if (option == 'm')
            args.measure_ms = parse_ms(optarg);
        else if (option == 'f')
            args.malloc_from = optarg;
        else if (option == 'C')
            args.consume = true;
        else if (option == 'p')
            args.probe = true;
        else if (option != 'c' || sscanf(optarg, "%d,%d", &args.cores[0], &args.cores[1]) != 2)
            ga_bench_die("started by bench_run, which knows its options");
    }
    if (optind != argc || (!args.row && !args.consume && !args.probe))
        ga_bench_die("started by bench_run, which knows its options");
    *ret_args = args;
}

static void measure(const struct ga_bench_family *family, const struct ga_bench_args *args)
{
    for (size_t i = 0; i < family->work_count; i++) {
        if (strcmp(family->works[i].name, args->row) != 0)
            continue;
        printf("%s %.3f\n", args->row, family->works[i].run(args));
        return;
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
    if (args.consume) {
        if (!family->consume)
            ga_bench_die("this family hands off between threads");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    family->open(&args);
    if (args.consume)
        family->consume(&args);
    else
        measure(family, &args);
    family->close(&args);
    return fflush(stdout) == 0 ? 0 : 1;
}
