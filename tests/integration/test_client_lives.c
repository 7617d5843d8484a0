/* The library through what happens to threads and processes: exits, late frees, forks, a server
 * that does not answer. Each test once stood for a fault. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

enum { SLOTS = 70000, KIB = 1024 };

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *objects[SLOTS];

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

static void run_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run, argument), 0);
    pthread_join(thread, NULL);
}

static void *fill_heap(void *argument)
{
    size_t *n = argument;
    *n = 0;
    while (*n < SLOTS && (objects[*n] = goalloc_malloc(heap, KIB)) != NULL)
        ++*n;
    return NULL;
}

/* A thread fills the heap and exits; what another thread then frees serves every class. */
static void freed_by_others(void)
{
    size_t n = 0;
    run_thread(fill_heap, &n);
    CU_ASSERT(n > 60000 && n < SLOTS);
    for (size_t i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
    void *other_class = goalloc_malloc(heap, 3000);
    void *large = goalloc_malloc(heap, 32 * KIB * KIB);
    CU_ASSERT_PTR_NOT_NULL(other_class);
    CU_ASSERT_PTR_NOT_NULL(large);
    goalloc_free(heap, other_class);
    goalloc_free(heap, large);
    /* Nothing is hidden in a message on its way. */
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    CU_ASSERT_EQUAL(stats_now().alloc, 0);
}

static pthread_barrier_t all_here;

static void *hold_and_free(void *argument)
{
    void **held = argument;
    for (int i = 0; i < 2000; i++)
        held[i] = goalloc_malloc(heap, KIB);
    pthread_barrier_wait(&all_here); /* so that each thread has a cache of its own */
    for (int i = 0; i < 2000; i++)
        goalloc_free(heap, held[i]);
    return NULL;
}

/* Eight threads at once leave eight caches with 2 MiB of empty spans each; one may keep them. */
static void idle_caches(void)
{
    pthread_t threads[8];
    pthread_barrier_init(&all_here, NULL, 8);
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hold_and_free, &objects[i * 2000]),
                              0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_here);
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT_EQUAL(stats.alloc, 0);
    CU_ASSERT(stats.heap_inuse < 2 * 2500 * KIB);
}

static pthread_key_t late_key;

/* Runs in every round of destructors, and allocates and frees in each. */
static void late(void *value)
{
    goalloc_free(heap, goalloc_malloc(heap, 64));
    pthread_setspecific(late_key, value);
}

static void *live_with_destructor(void *argument)
{
    pthread_setspecific(late_key, argument);
    goalloc_free(heap, goalloc_malloc(heap, 64));
    return NULL;
}

/* Threads whose destructors free to the last do not each leave an mcache behind. */
static void late_frees(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer forgets a thread before its last destructors");
    return;
#endif
    CU_ASSERT_EQUAL_FATAL(pthread_key_create(&late_key, late), 0);
    uint64_t before = stats_now().sys;
    for (int i = 0; i < 200; i++)
        run_thread(live_with_destructor, &late_key);
    pthread_key_delete(late_key);
    CU_ASSERT(stats_now().sys - before < 64 * KIB);
}

static void *come_and_go(void *argument)
{
    (void)argument;
    goalloc_free(heap, goalloc_malloc(heap, 64));
    return NULL;
}

static _Atomic int stop;

static void *make_threads(void *argument)
{
    (void)argument;
    while (!stop) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, come_and_go, NULL) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* What a child does: allocates, frees, detaches; all of which took locks in the parent. */
static void live_as_child(int descriptors)
{
    alarm(20); /* a lock that nobody here holds would be waited for for ever */
    errno = 0;
    void *p = goalloc_malloc(heap, 100);
    bool good = p && errno == 0;
    goalloc_free(heap, p);
    good = good && open_descriptors() <= descriptors;
    goalloc_detach(heap);
    _exit(good ? 0 : 1);
}

static void forks_among_threads(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    puts("left out: a sanitizer's own locks do not survive a fork among threads");
    return;
#endif
    pthread_t threads[2];
    stop = 0;
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, make_threads, NULL), 0);
    int descriptors = open_descriptors();
    int failed = 0;
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0)
            live_as_child(descriptors);
        int status = -1;
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    CU_ASSERT_EQUAL(failed, 0);
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static _Atomic int nready;

static void *allocate_and_end(void *argument)
{
    void **mine = argument;
    for (int i = 0; i < 250; i++) /* so many that spans are asked for ahead */
        mine[i] = goalloc_malloc(heap, KIB);
    nready++;
    return NULL;
}

/* Threads that are on their way out when the heap is detached do not find it gone under them. */
static void detach_among_exits(void)
{
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        nready = 0;
        for (int i = 0; i < 4; i++)
            CU_ASSERT_EQUAL_FATAL(
                pthread_create(&threads[i], NULL, allocate_and_end, &objects[i * 250]), 0);
        while (nready < 4)
            continue;
        goalloc_detach(heap);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
        for (int i = 0; i < 4 * 250; i++)
            goalloc_free(heap, objects[i]);
    }
}

/* An attach that fails after the server has granted it leaves no client behind. */
static void no_ghosts(void)
{
    uint64_t before = stats_now().sys;
    struct goalloc_heap *again = NULL;
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(goalloc_attach(server.socket, NULL, &again), -EADDRINUSE);
    /* The slots of 200 clients would be as many OS pages. */
    CU_ASSERT(stats_now().sys - before < 20 * 4 * KIB);
}

/* A large object that is granted after its caller has given up goes back when the client does. */
static void late_grants(void)
{
    goalloc_detach(heap);
    struct goalloc_options hasty = {.size = sizeof(hasty), .timeout_ms = 200};
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &hasty, &heap), 0);
    goalloc_free(heap, goalloc_malloc(heap, 64));
    kill(server.pid, SIGSTOP);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, KIB * KIB));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    kill(server.pid, SIGCONT);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
    CU_ASSERT_EQUAL(stats_now().heap_inuse, 0);
}

static void errno_is_kept(void)
{
    errno = 77;
    void *p = goalloc_malloc(heap, 5000);
    void *q = goalloc_malloc(heap, 500000);
    CU_ASSERT_EQUAL(errno, 77);
    goalloc_free(heap, p);
    goalloc_free(heap, q);
    CU_ASSERT_EQUAL(errno, 77);
    CU_ASSERT_EQUAL(stats_now().alloc, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"freed by others", freed_by_others},
        {"idle caches", idle_caches},
        {"late frees", late_frees},
        {"forks among threads", forks_among_threads},
        {"detach among exits", detach_among_exits},
        {"no ghosts", no_ghosts},
        {"late grants", late_grants},
        {"errno is kept", errno_is_kept},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    if (goalloc_attach(server.socket, NULL, &heap) < 0)
        return 2;
    int r = ga_test_main("integration.client_lives", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? r : 1;
}
