#include "support/siege.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/cunit_main.h"

enum { SERVER_AWAY_US = 100000 };

static struct ga_siege *the_siege; /* for the signals */

uint64_t ga_siege_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t ga_siege_below(struct ga_siege *siege, uint32_t n)
{
    return (uint32_t)(ga_test_random(&siege->random) % n);
}

/* ---- what must not be left behind ---- */

void ga_siege_end(struct ga_siege *siege)
{
    for (uint32_t i = 0; i < GA_SIEGE_WORKERS_MAX; i++)
        if (siege->workers[i] > 0)
            kill(siege->workers[i], SIGKILL);
    if (siege->server > 0)
        kill(siege->server, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    for (size_t i = 0; i < 3; i++) {
        char name[160];
        snprintf(name, sizeof(name), "/goalloc.%s.%s", siege->heap_name, suffixes[i]);
        shm_unlink(name);
    }
    ga_test_folder_remove(siege->folder);
}

static void end_on_signal(int number)
{
    ga_siege_end(the_siege);
    signal(number, SIG_DFL);
    raise(number);
}

void ga_siege_begin(struct ga_siege *siege, const char *test, int shared_fd)
{
    *siege = (struct ga_siege){.test = test, .shared_fd = shared_fd, .random = ga_test_seed()};
    the_siege = siege;
    siege->log_fd = memfd_create("log", MFD_CLOEXEC);
    snprintf(siege->heap_name, sizeof(siege->heap_name), "test-%d-%s", getpid(), test);
    if (!ga_test_folder_make(siege->folder))
        ga_siege_fail(siege, "no folder for the socket");
    snprintf(siege->socket, sizeof(siege->socket), "%s/sock", siege->folder);
    signal(SIGINT, end_on_signal);
    signal(SIGTERM, end_on_signal);
}

uint64_t ga_siege_print_log(const struct ga_siege *siege, const char *expected,
                            uint64_t *ret_nexpected)
{
    char line[1024];
    uint64_t nlines = 0;
    FILE *log = fdopen(dup(siege->log_fd), "r");
    *ret_nexpected = 0;
    if (!log)
        return 0;
    rewind(log);
    while (fgets(line, sizeof(line), log)) {
        bool is_expected = expected && strstr(line, expected);
        *ret_nexpected += is_expected;
        nlines += !is_expected;
        if (!is_expected)
            fputs(line, stderr);
    }
    fclose(log);
    return nlines;
}

void ga_siege_fail(struct ga_siege *siege, const char *format, ...)
{
    va_list args;
    uint64_t none;
    va_start(args, format);
    fprintf(stderr, "%s: ", siege->test);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; after %llu clients and %llu servers were killed, and %llu pauses\n",
            (unsigned long long)siege->nworkers_killed, (unsigned long long)siege->nservers_killed,
            (unsigned long long)siege->npauses);
    va_end(args);
    ga_siege_print_log(siege, NULL, &none);
    ga_siege_end(siege);
    exit(1);
}

/* ---- the server ---- */

void ga_siege_start_server(struct ga_siege *siege)
{
    int ready[2];
    if (pipe(ready) < 0)
        ga_siege_fail(siege, "no pipe");
    siege->server = fork();
    if (siege->server == 0) {
        char fd[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(siege->shared_fd);
        dup2(siege->log_fd, STDERR_FILENO);
        snprintf(fd, sizeof(fd), "%d", ready[1]);
        execl(GOALLOCD_PATH, "goallocd", "--name", siege->heap_name, "--socket", siege->socket,
              "--limit", "2G", "--reserve", "4G", "--ready-fd", fd, "--log-level", "warning",
              (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    ssize_t n = read(ready[0], &byte, 1);
    close(ready[0]);
    if (n != 1)
        ga_siege_fail(siege, "goallocd did not start");
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void ga_siege_kill_server(struct ga_siege *siege)
{
    int status;
    kill(siege->server, SIGKILL);
    waitpid(siege->server, &status, 0);
    if (!was_killed(status))
        ga_siege_fail(siege, "goallocd has ended by itself, with status %#x", status);
    siege->nservers_killed++;
    usleep(ga_siege_below(siege, SERVER_AWAY_US));
    ga_siege_start_server(siege);
}

/* ---- workers ---- */

void ga_siege_start_worker(struct ga_siege *siege, uint32_t worker)
{
    char number[16];
    char fd[16];
    char seed[32];
    snprintf(number, sizeof(number), "%u", worker);
    snprintf(fd, sizeof(fd), "%d", siege->shared_fd);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)ga_test_random(&siege->random));
    siege->workers[worker] = fork();
    if (siege->workers[worker] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", siege->test, "worker", number, fd, seed, (char *)NULL);
        _exit(127);
    }
}

void ga_siege_kill_worker(struct ga_siege *siege, uint32_t worker)
{
    int status;
    kill(siege->workers[worker], SIGKILL);
    waitpid(siege->workers[worker], &status, 0);
    siege->workers[worker] = 0;
    if (!was_killed(status))
        ga_siege_fail(siege, "client %u has ended by itself, with status %#x", worker, status);
    siege->nworkers_killed++;
}

bool ga_siege_await_worker(struct ga_siege *siege, uint32_t worker, uint64_t end_ms)
{
    int status = 0;
    pid_t gone;
    while ((gone = waitpid(siege->workers[worker], &status, WNOHANG)) == 0 &&
           ga_siege_now_ms() < end_ms)
        usleep(1000);
    if (gone == 0)
        return false;
    siege->workers[worker] = 0;
    if (status != 0)
        ga_siege_fail(siege, "client %u has failed, with status %#x", worker, status);
    return true;
}

void ga_siege_see_alive(struct ga_siege *siege, uint32_t worker)
{
    int status;
    if (waitpid(siege->workers[worker], &status, WNOHANG) == 0)
        return;
    siege->workers[worker] = 0;
    ga_siege_fail(siege, "client %u has ended by itself, with status %#x", worker, status);
}
