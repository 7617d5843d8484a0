/* What allocates at unusual times: signal handlers' long jumps, cancelled threads, destructors of
 * thread-local data, at exit, children of a clone that no handler hears of, and daemons. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define THREADS 8u

static void *(*volatile allocate)(size_t) = malloc;

static void use(uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    size_t size = 1 + (*random >> 16) % 3000;
    unsigned char *p = allocate(size);
    CHECK(p);
    memset(p, (int)size & 0xff, size);
    CHECK(p[size / 2] == (size & 0xff));
    free(p);
}

static void await(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- threads that are cancelled, and signals ---- */

static _Atomic bool stopping;
static _Atomic uint32_t nsignals;

static void on_signal(int number)
{
    (void)number;
    nsignals++;
}

/* Allocation is no cancellation point, so nothing is lost but at the one below. */
static void *churn(void *data)
{
    uint32_t random = (uint32_t)(uintptr_t)data;
    while (!stopping) {
        void *p = allocate(500);
        pthread_cleanup_push(free, p);
        for (int i = 0; i < 50; i++)
            use(&random);
        pthread_testcancel();
        pthread_cleanup_pop(1);
    }
    return NULL;
}

static void start(pthread_t thread[THREADS])
{
    stopping = false;
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, churn, (void *)(i + 1)) == 0);
}

static void check_cancel_and_signals(void)
{
    pthread_t thread[THREADS];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int round = 0; round < 20; round++) {
        start(thread);
        for (int i = 0; i < 50; i++)
            for (uint32_t t = 0; t < THREADS; t++)
                pthread_kill(thread[t], SIGUSR1);
        for (uint32_t t = 0; t < THREADS; t += 2)
            CHECK(pthread_cancel(thread[t]) == 0);
        stopping = true;
        for (uint32_t t = 0; t < THREADS; t++)
            CHECK(pthread_join(thread[t], NULL) == 0);
    }
    CHECK(nsignals > 0);
}

/* ---- forks ---- */

static void work_in_child(uint32_t random)
{
    for (int i = 0; i < 3000; i++)
        use(&random);
}

static void *fork_from_thread(void *data)
{
    for (uint32_t i = 0; i < 10; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            work_in_child(i);
            _exit(0);
        }
        await(pid);
    }
    return data;
}

/* Two threads fork while others are at it, and threads are short of processors. */
static void check_fork_in_crowd(void)
{
    pthread_t thread[THREADS];
    pthread_t forker[2];
    cpu_set_t before;
    cpu_set_t one;
    CHECK(sched_getaffinity(0, sizeof(before), &before) == 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    start(thread);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&forker[i], NULL, fork_from_thread, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(forker[i], NULL) == 0);
    stopping = true;
    for (uint32_t t = 0; t < THREADS; t++)
        CHECK(pthread_join(thread[t], NULL) == 0);
    CHECK(sched_setaffinity(0, sizeof(before), &before) == 0);
}

/* A clone that the C library knows nothing of: the handlers of fork are not called. No other thread
 * is within malloc, so as with any malloc it may be used. */
static void check_raw_clone(void)
{
    unsigned char *p = allocate(100);
    memset(p, 7, 100);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    CHECK(pid >= 0);
    if (pid == 0) {
        work_in_child(5);
        CHECK(p[99] == 7);
        memset(p, 8, 100);
        free(p);
        _exit(0);
    }
    await(pid);
    CHECK(p[99] == 7);
    free(p);
}

/* The daemon says over a pipe that all is well; it has closed all else. */
static void check_daemon(void)
{
    int fds[2];
    char byte = 0;
    unsigned char *p = allocate(300);
    memset(p, 9, 300);
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        CHECK(daemon(0, 0) == 0);
        dup2(fds[1], 3);
        close_range(4, ~0U, 0);
        close_range(0, 2, 0);
        work_in_child(6);
        CHECK(p[299] == 9 && write(3, "k", 1) == 1);
        _exit(0);
    }
    close(fds[1]);
    await(pid);
    CHECK(read(fds[0], &byte, 1) == 1 && byte == 'k');
    close(fds[0]);
    free(p);
}

/* ---- at the end of threads and of the program ---- */

static pthread_key_t key;
static _Thread_local void *own;

/* Comes again as long as there is a value: up to PTHREAD_DESTRUCTOR_ITERATIONS times. */
static void destroy(void *value)
{
    uintptr_t *left = value;
    free(own);
    own = allocate(64);
    if (--*left > 0)
        pthread_setspecific(key, left);
    else
        free(left);
}

static void *end_slowly(void *data)
{
    uintptr_t *left = allocate(sizeof(*left));
    *left = 4;
    own = allocate(64);
    pthread_setspecific(key, left);
    return data;
}

static void check_thread_ends(void)
{
    pthread_t thread;
    CHECK(pthread_key_create(&key, destroy) == 0);
    for (int i = 0; i < 200; i++) {
        CHECK(pthread_create(&thread, NULL, end_slowly, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static void at_exit(void)
{
    uint32_t random = 9;
    for (int i = 0; i < 1000; i++)
        use(&random);
}

int main(void)
{
    atexit(at_exit);
    check_cancel_and_signals();
    check_thread_ends();
    check_fork_in_crowd();
    check_raw_clone();
    check_daemon();
    puts("all came in time");
    return 0;
}
