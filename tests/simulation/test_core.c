/* Many processes of several threads at the pure core, in a world that is not real: short, or as
 * long as is asked for. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "simulation/world.h"
#include "support/cunit_main.h"

#define STEPS 700u
#ifdef __SANITIZE_THREAD__ /* slow, and there is one thread */
#define RUNS 4u
#else
#define RUNS 60u
#endif
#define LONG_SECONDS 60u /* where GOALLOC_LONG is set */

static struct {
    bool one_run;
    uint64_t seed;
    uint32_t nsteps;
    uint32_t seconds; /* 0: RUNS runs */
} options = {.nsteps = STEPS};

#define PRINT(name)    printf(" " #name " %" PRIu64, ga_sim.seen.name);
#define HAPPENED(name) CU_ASSERT(ga_sim.seen.name > 0);

/* A seed whose run has been cut off by an assertion or a fault can be told all the same. */
static char seed_text[64];

static void on_fault(int signal_number)
{
    ssize_t written = write(STDERR_FILENO, seed_text, strlen(seed_text));
    (void)written;
    raise(signal_number); /* once more, and for good: SA_RESETHAND */
}

static bool run(uint64_t seed)
{
    uint32_t nsteps;
    snprintf(seed_text, sizeof(seed_text), "\nin the run of --seed %" PRIu64 " --steps %u\n", seed,
             options.nsteps);
    if (ga_sim_world_run(seed, options.nsteps, &nsteps))
        return true;
    printf("\nnot true after step %u of --seed %" PRIu64 " --steps %u: %s\n", nsteps, seed,
           options.nsteps, ga_sim.wrong);
    return false;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void print_events(void)
{
    GA_SIM_EVENTS(PRINT)
    printf(" ");
}

static void many_runs(void)
{
    uint64_t random = ga_test_seed();
    uint64_t end_ms = now_ms() + options.seconds * UINT64_C(1000);
    bool good = true;
    for (uint32_t i = 0; good && (options.seconds ? now_ms() < end_ms : i < RUNS); i++)
        good = run(ga_test_random(&random));
    print_events();
    CU_ASSERT(good);
    if (!good)
        return;
    GA_SIM_EVENTS(HAPPENED)
}

static void processes_and_servers(void)
{
    if (options.one_run) {
        CU_ASSERT(run(options.seed));
        return;
    }
    many_runs();
}

static bool parse(int argc, char **argv)
{
    static const struct option known[] = {{"seed", required_argument, NULL, 's'},
                                          {"steps", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == '?')
            return false;
        char *end;
        errno = 0;
        uint64_t value = strtoull(optarg, &end, 10);
        if (errno || *end || end == optarg || (c != 's' && (value == 0 || value > UINT32_MAX)))
            return false;
        if (c == 's') {
            options.one_run = true;
            options.seed = value;
        } else {
            *(c == 'n' ? &options.nsteps : &options.seconds) = (uint32_t)value;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static const struct ga_test tests[] = {
        {"processes and servers that die anywhere", processes_and_servers},
    };
    options.seconds = getenv("GOALLOC_LONG") ? LONG_SECONDS : 0;
    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: %s [--seed N] [--steps N] [--seconds N]\n", argv[0]);
        return 2;
    }
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_RESETHAND | SA_NODEFER};
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    return ga_test_main("simulation.core", tests, 1);
}
