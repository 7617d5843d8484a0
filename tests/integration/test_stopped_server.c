/* A server that is stopped, as by a debugger: nobody waits for it longer than a call may take,
 * however many threads ask it for something, but who resizes a large object; and a fork does not
 * wait for it at all. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

/* A child that has threads of its own, of a parent that has them. */
static bool cannot_follow_forks(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer lets the child of a program with threads start none");
    return true;
#else
    return false;
#endif
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

static _Atomic bool woken;

static void *wake_server(void *unused)
{
    usleep(500000); /* longer than a call may take here */
    woken = true;
    kill(server.pid, SIGCONT);
    return unused;
}

static char *resize_beside_a_stopped_server(char *p, size_t size)
{
    pthread_t waker;
    woken = false;
    stop_server();
    CU_ASSERT_EQUAL_FATAL(pthread_create(&waker, NULL, wake_server, NULL), 0);
    p = goalloc_realloc(heap, p, size);
    CU_ASSERT(woken);
    pthread_join(waker, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(goalloc_usable_size(heap, p) >= size);
    CU_ASSERT_STRING_EQUAL(p, "as before");
    return p;
}

/* Given up, it would still be carried out: on an object that is thought to be as it was, and may be
 * another by then. */
static void resize_waits(void)
{
    attach(100);
    char *p = goalloc_malloc(heap, 2 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    strcpy(p, "as before");
    p = resize_beside_a_stopped_server(p, 5 << 20);
    p = resize_beside_a_stopped_server(p, 2 << 20);
    CU_ASSERT(goalloc_usable_size(heap, p) < 5 << 20);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(stats.by_size[0].mallocs - stats.by_size[0].frees, 1);
    CU_ASSERT_EQUAL(stats.alloc, goalloc_usable_size(heap, p));
    goalloc_free(heap, p);
    goalloc_detach(heap);
}

/* A fork in one thread while another waits for the server: it comes first, and the child can use
 * the heap when the server goes on. */
static void fork_does_not_wait(void)
{
    if (cannot_follow_forks())
        return;
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

/* ---- forks while another thread attaches or detaches ---- */

/* Whether the child can use the heap as if it had never been attached. Returns its exit code. */
static int attach_in_child(void)
{
    struct goalloc_heap *mine;
    if (goalloc_attach(server.socket, NULL, &mine) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return 2;
    }
    void *p = goalloc_malloc(mine, 100);
    goalloc_free(mine, p);
    goalloc_detach(mine);
    return p ? 0 : 3;
}

static _Atomic pid_t detaching;

static void *detach(void *unused)
{
    detaching = gettid();
    goalloc_detach(heap);
    return unused;
}

/* Whether the thread sleeps; it does so first when it waits for the server's answer. */
static bool sleeps(pid_t thread)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "re");
    char state = 0;
    bool read = file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
    if (file)
        fclose(file);
    return read && state == 'S';
}

static void fork_beside_detach(void)
{
    if (cannot_follow_forks())
        return;
    attach(LONG_MS);
    void *p = goalloc_malloc(heap, 100);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    stop_server();
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, detach, NULL), 0);
    while (!detaching || !sleeps(detaching))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(LONG_MS / 1000);
        kill(server.pid, SIGCONT);
        _exit(attach_in_child());
    }
    int status = -1;
    CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
}

enum { NFORKS = 200 };

static _Atomic bool enough;
static struct goalloc_heap *volatile attached; /* NULL until goalloc_attach has said so */
static _Atomic bool leaving;                   /* detaches, or is about to */

static void *attach_and_detach(void *unused)
{
    while (!enough) {
        if (goalloc_attach(server.socket, NULL, (struct goalloc_heap **)&attached) < 0)
            return "goalloc_attach failed";
        leaving = true;
        goalloc_detach(attached);
        attached = NULL;
        leaving = false;
    }
    return unused;
}

static int use_what_is_there(void)
{
    alarm(LONG_MS / 1000);
    if (leaving)
        return 0; /* the other test's */
    if (attached)
        goalloc_detach(attached);
    return attach_in_child();
}

/* Whenever the fork comes, the child finds a heap that is attached, or none. */
static void fork_beside_attach(void)
{
#ifdef __SANITIZE_ADDRESS__
    puts("left out: a child may find AddressSanitizer's locks held for ever");
    return;
#endif
    if (cannot_follow_forks())
        return;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, attach_and_detach, NULL), 0);
    for (int i = 0; i < NFORKS; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(use_what_is_there());
        int status = -1;
        CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    }
    enough = true;
    void *failed = NULL;
    CU_ASSERT_EQUAL(pthread_join(thread, &failed), 0);
    CU_ASSERT_PTR_NULL(failed);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"threads wait together", threads_wait_together},
        {"resize waits", resize_waits},
        {"fork does not wait", fork_does_not_wait},
        {"fork while a thread detaches", fork_beside_detach},
        {"fork while a thread attaches", fork_beside_attach},
    };
    signal(SIGPIPE, SIG_IGN);
    if (!ga_test_server_start("64M", &server))
        return 2;
    int r = ga_test_main("integration.stopped_server", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_test_server_stop(&server) ? r : 1;
}
