/* What the tests of sampled objects share: a server, this process attached to its heap, places that
 * allocate, and children that come to them. */
#ifndef GA_TESTS_PROFILE_FIXTURE_H
#define GA_TESTS_PROFILE_FIXTURE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct ga_daemon daemon_;
static char name[64];
static char socket_path[128];
static struct goalloc_heap *heap;
static struct ga_run run;

static inline int ctl(const char *const *words)
{
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    return run.code;
}
#define CTL(...)    ctl((const char *const[]){"--socket", socket_path, __VA_ARGS__, NULL})
#define CTL_OF(...) ctl((const char *const[]){__VA_ARGS__, NULL})

static inline void start(const char *rate)
{
    const char *arguments[] = {"--name",         name, "--socket", socket_path, "--reserve", "2G",
                               "--profile-rate", rate, NULL};
    const struct ga_daemon_setup setup = {.keep = true};
    CU_ASSERT_FATAL(ga_daemon_launch(&daemon_, &setup, arguments) && ga_daemon_wait(&daemon_));
}

static inline void attach(void)
{
    const struct goalloc_options options = {.size = sizeof(options)};
    if (goalloc_attach(socket_path, &options, &heap) < 0) {
        printf("%s\n", goalloc_attach_error());
        abort();
    }
}

/* The places. Each keeps itself from being a jump to the library, which would be no call of its
 * own; they are named in what pprof says. */
#define PLACE __attribute__((noinline, used)) static
#define CALLED(p)                                                                                  \
    do {                                                                                           \
        __asm__ volatile("" : : "r"(p) : "memory");                                                \
        if (!(p))                                                                                  \
            abort();                                                                               \
    } while (0)

PLACE void *place_small(void)
{
    void *p = goalloc_malloc(heap, 64);
    CALLED(p);
    return p;
}

PLACE void *place_medium(void)
{
    void *p = goalloc_calloc(heap, 3, 1000);
    CALLED(p);
    return p;
}

PLACE void *place_large(void)
{
    void *p = goalloc_malloc(heap, 100000);
    CALLED(p);
    return p;
}

PLACE void *place_tiny(void)
{
    void *p = goalloc_alloc(heap, 5, 0, GOALLOC_NOSCAN);
    CALLED(p);
    return p;
}

PLACE void *place_in_turn(void)
{
    void *p = goalloc_malloc(heap, 200);
    CALLED(p);
    return p;
}

PLACE void *place_grown(void)
{
    void *p = goalloc_realloc(heap, goalloc_malloc(heap, 24), 1500);
    CALLED(p);
    return p;
}

PLACE void *place_left(void)
{
    void *p = goalloc_malloc(heap, 900);
    CALLED(p);
    return p;
}

static inline void leave(void)
{
    if (goalloc_set_profile_rate(heap, 1) < 0)
        abort();
    /* One call, and not seven. */
    for (volatile unsigned i = 0; i < 7; i++)
        (void)place_left();
}

/* Run in a child, which attaches as itself and ends without detaching. */
static inline pid_t in_child(void (*work)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!heap)
            attach();
        work();
        _exit(CU_get_number_of_failures() != 0);
    }
    CU_ASSERT_FATAL(pid > 0);
    return pid;
}

static inline void await(pid_t pid)
{
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

/* ---- numbers of JSON ---- */

static inline uint64_t number(const char *key)
{
    return ga_json_number_of(run.out, key);
}

/* Over all sites. */
static inline uint64_t sum_of(const char *key)
{
    char quoted[64];
    uint64_t sum = 0;
    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    for (const char *at = run.out; (at = strstr(at, quoted)) != NULL; at++)
        sum += ga_json_number_of(at, key);
    return sum;
}

/* Run the tests of the program called integration.NAME; nothing of them stays. */
static inline int profile_main(const char *test_name, const struct ga_test *tests, size_t count)
{
    snprintf(name, sizeof(name), "%s", ga_daemon_heap(strchr(test_name, '.') + 1));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    int code = ga_test_main(test_name, tests, count);
    (void)ga_daemon_end(&daemon_, SIGKILL);
    ga_run_fini(&run);
    (void)ga_daemon_clean_up();
    return code;
}

#endif
