/* A server that is stopped, as by a debugger: nobody waits for it longer than a call may take,
 * however many threads ask it for something, and a fork does not wait for it at all. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

enum { NTHREADS = 16, SHORT_MS = 1000, LONG_MS = 60000 };

static struct ga_test_server server;
static struct goalloc_heap *heap;

static void attach(uint32_t timeout_ms)
{
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = timeout_ms};
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &options, &heap), 0);
}

static void stop_server(void)
{
    int status;
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGSTOP), 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(server.pid, &status, WUNTRACED), server.pid);
}

/* A thread's first call needs an mcache of its own. */
static void *allocate(void *unused)
{
    (void)unused;
    return goalloc_malloc(heap, 100);
}

static long seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* One after the other they would wait for 16 seconds. */
static void threads_wait_together(void)
{
    attach(SHORT_MS);
    stop_server();
    long begin = seconds_now();
    pthread_t threads[NTHREADS];
    for (int i = 0; i < NTHREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, allocate, NULL), 0);
    void *p;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "root", &p), -ETIMEDOUT);
    for (int i = 0; i < NTHREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], &p), 0);
        CU_ASSERT_PTR_NULL(p);
    }
    CU_ASSERT(seconds_now() - begin < NTHREADS / 2);
    CU_ASSERT_EQUAL(kill(server.pid, SIGCONT), 0);
    /* What was asked for meanwhile is used now. */
    p = goalloc_malloc(heap, 100);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    goalloc_detach(heap);
}

/* A fork in one thread while another waits for the server: it comes first, and the child can use
 * the heap when the server goes on. */
static void fork_does_not_wait(void)
{
    attach(LONG_MS);
    stop_server();
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, allocate, NULL), 0);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL); /* it waits now, most likely */
    alarm(LONG_MS / 2000);
    pid_t child = fork();
    if (child == 0) {
        alarm(LONG_MS / 1000);
        kill(server.pid, SIGCONT);
        void *p = goalloc_malloc(heap, 100);
        goalloc_free(heap, p);
        goalloc_detach(heap);
        _exit(p ? 0 : 1);
    }
    alarm(0);
    int status = -1;
    CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    void *p = NULL;
    CU_ASSERT_EQUAL(pthread_join(thread, &p), 0);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    goalloc_detach(heap);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"threads wait together", threads_wait_together},
        {"fork does not wait", fork_does_not_wait},
    };
    signal(SIGPIPE, SIG_IGN);
    if (!ga_test_server_start("64M", &server))
        return 2;
    int r = ga_test_main("integration.stopped_server", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_test_server_stop(&server) ? r : 1;
}
