/* Some keep memory without using it, while it is short or while it is not: threads that sleep,
 * whose caches the library's own thread gives back for them; and processes that are stopped, which
 * are named and passed over. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/heap.h"
#include "client/reclaim.h"
#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "support/cunit_main.h"

enum { KIB = 1024, MIB = 1024 * KIB, OBJECTS = 30000, KEPT_MIB = 40 };

static struct ga_daemon daemon_;
static struct goalloc_heap *heap;

static _Atomic int nreports;

static _Atomic bool stay_in_report;
static pthread_barrier_t keeps, may_end;

/* In the middle of an operation. */
static void count_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    printf("report %d: %s\n", (int)kind, message);
    atomic_fetch_add(&nreports, 1);
    if (stay_in_report) {
        pthread_barrier_wait(&keeps);
        pthread_barrier_wait(&may_end);
    }
}

static const char *address(void)
{
    return ga_daemon_path("s");
}

static void open_heap(const char *limit)
{
    const char *arguments[] = {"--name", ga_daemon_heap("idle"), "--socket", address(), "--limit",
                               limit,    "--ephemeral",          NULL};
    CU_ASSERT_FATAL(ga_daemon_start(&daemon_, 0, arguments));
    struct goalloc_options options = {.size = sizeof(options), .report = count_report};
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(address(), &options, &heap), 0);
    nreports = 0;
}

static void close_heap(void)
{
    CU_ASSERT_EQUAL(nreports, 0);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
}

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

/* How many MiB of objects of size this thread can have. All are freed again. */
static size_t count_mib(size_t size)
{
    static void *objects[100000];
    size_t n = 0;
    while (n < 100000 && (objects[n] = goalloc_malloc(heap, size)) != NULL)
        n++;
    for (size_t i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
    return n * size / MIB;
}

/* Allocate KEPT_MIB in objects of size, and free all but the first. */
static void *use_and_keep_empty(size_t size)
{
    size_t n = (size_t)KEPT_MIB * MIB / size;
    void **objects = malloc(n * sizeof(*objects));
    for (size_t i = 0; objects && i < n; i++)
        objects[i] = goalloc_malloc(heap, size);
    for (size_t i = 1; objects && i < n; i++)
        goalloc_free(heap, objects[i]);
    void *first = objects ? objects[0] : NULL;
    free(objects);
    return first;
}

/* ---- a thread that sleeps ---- */

static size_t sleeper_size;

/* It keeps what it has used, and then calls nothing of the library for as long as it is told. */
static void *sleep_on_it(void *unused)
{
    char *first = use_and_keep_empty(sleeper_size);
    if (first)
        memset(first, 7, sleeper_size);
    pthread_barrier_wait(&keeps);
    pthread_barrier_wait(&may_end);
    bool good = first != NULL;
    for (size_t i = 0; good && i < sleeper_size; i++)
        good = first[i] == 7;
    goalloc_free(heap, first);
    for (int i = 0; good && i < 1000; i++) {
        void *p = goalloc_malloc(heap, sleeper_size);
        good = p != NULL;
        goalloc_free(heap, p);
    }
    (void)unused;
    return good ? &keeps : NULL;
}

static void share_with_sleeper(size_t size)
{
    open_heap("64M");
    sleeper_size = size;
    pthread_barrier_init(&keeps, NULL, 2);
    pthread_barrier_init(&may_end, NULL, 2);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, sleep_on_it, NULL), 0);
    pthread_barrier_wait(&keeps);
    CU_ASSERT(stats_now().leased_bytes >= 16 * MIB);
    CU_ASSERT(count_mib(100 * KIB) > 50);
    pthread_barrier_wait(&may_end);
    void *good = NULL;
    pthread_join(thread, &good);
    CU_ASSERT_PTR_NOT_NULL(good);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    close_heap();
}

static void of_small_objects(void)
{
    share_with_sleeper(100);
    share_with_sleeper(2000);
}

static void of_large_objects(void)
{
    share_with_sleeper(500 * KIB);
}

/* ---- a free that a sleeping thread has collected ---- */

static void *volatile handed[64];

static void *free_some(void *unused)
{
    for (int i = 0; i < 5; i++)
        goalloc_free(heap, handed[i]);
    pthread_barrier_wait(&keeps);
    pthread_barrier_wait(&may_end);
    return unused;
}

/* It is in the thread's line, and in use to everybody else. */
static void of_collected_frees(void)
{
    open_heap("64M");
    for (int i = 0; i < 5; i++)
        handed[i] = goalloc_malloc(heap, 64);
    pthread_barrier_init(&keeps, NULL, 2);
    pthread_barrier_init(&may_end, NULL, 2);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_some, NULL), 0);
    pthread_barrier_wait(&keeps);
    CU_ASSERT(goalloc_usable_size(heap, handed[4]) > 0); /* not yet */
    CU_ASSERT_EQUAL(ga_reclaim(heap, GA_RECLAIM_UNUSED), 0);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, handed[4]), 0); /* it is free */
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
    pthread_barrier_wait(&may_end);
    pthread_join(thread, NULL);
    close_heap();
}

/* ---- threads that come back meanwhile ---- */

static _Atomic bool enough;

/* Objects of several sizes come and go; each is filled with what tells whose it is. */
static void *churn(void *number)
{
    enum { LIVE = 200 };
    unsigned char *live[LIVE] = {0};
    size_t sizes[LIVE] = {0};
    uint64_t seed = (uintptr_t)number;
    bool good = true;
    while (!enough && good) {
        uint64_t r = ga_test_random(&seed);
        unsigned i = (unsigned)(r % LIVE);
        for (size_t k = 0; live[i] && k < sizes[i]; k += 61)
            good = good && live[i][k] == (unsigned char)(uintptr_t)number;
        if (live[i])
            goalloc_free(heap, live[i]);
        sizes[i] = r >> 20 & 31 ? 1 + (r >> 32) % 3000 : 1 + (r >> 32) % (300 * KIB);
        live[i] = goalloc_alloc(heap, sizes[i], 0, r >> 10 & 1 ? GOALLOC_NOSCAN : 0);
        good = good && live[i];
        if (live[i])
            memset(live[i], (int)(uintptr_t)number, sizes[i]);
        if ((r >> 50 & 127) == 0)
            usleep(50);
    }
    for (int i = 0; i < LIVE; i++)
        goalloc_free(heap, live[i]);
    return good ? &enough : NULL;
}

static void *come_and_go(void *number)
{
    void *good = &enough;
    while (!enough && good) {
        pthread_t thread;
        void *p = goalloc_malloc(heap, 300);
        if (pthread_create(&thread, NULL, free_some, NULL) == 0)
            pthread_join(thread, NULL);
        goalloc_free(heap, p);
        good = p ? good : NULL;
    }
    (void)number;
    return good;
}

static void of_threads_at_work(void)
{
    open_heap("1G");
    enough = false;
    memset((void *)(uintptr_t)handed, 0, sizeof(handed)); /* free_some frees nothing */
    pthread_barrier_init(&keeps, NULL, 1);
    pthread_barrier_init(&may_end, NULL, 1);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, i < 3 ? churn : come_and_go, (void *)(i + 1)), 0);
    for (int i = 0; i < 3000; i++)
        (void)ga_reclaim(heap, GA_RECLAIM_UNUSED);
    enough = true;
    for (int i = 0; i < 4; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        CU_ASSERT_PTR_NOT_NULL(good);
    }
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    close_heap();
}

static void *free_badly(void *p)
{
    for (int i = 0; i < 100; i++)
        goalloc_free(heap, goalloc_malloc(heap, 3000));
    goalloc_free(heap, (char *)p + 8);
    return NULL;
}

/* Who is in an operation is left alone, and does it by himself later. */
static void not_of_the_busy(void)
{
    open_heap("64M");
    stay_in_report = true;
    pthread_barrier_init(&keeps, NULL, 2);
    pthread_barrier_init(&may_end, NULL, 2);
    pthread_t thread;
    void *p = goalloc_malloc(heap, 100);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_badly, p), 0);
    pthread_barrier_wait(&keeps);
    uint64_t nspans = stats_now().leased_spans;
    CU_ASSERT_EQUAL(ga_reclaim(heap, GA_RECLAIM_UNUSED), 1);
    CU_ASSERT(stats_now().leased_spans > 1 && stats_now().leased_spans <= nspans);
    pthread_barrier_wait(&may_end);
    pthread_join(thread, NULL);
    stay_in_report = false;
    CU_ASSERT_EQUAL(ga_reclaim(heap, GA_RECLAIM_UNUSED), 0);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
    close_heap();
}

/* A thread that has used and freed so much that it takes a while to give that back; it goes on in
 * the midst of it. */
static void *go_on_meanwhile(void *unused)
{
    enum { MANY = 4000 };
    static void *objects[MANY];
    bool good = true;
    while (!enough) {
        for (int i = 0; i < MANY; i++)
            objects[i] = goalloc_malloc(heap, 4000);
        for (int i = 0; i < MANY; i++)
            goalloc_free(heap, objects[i]);
        pthread_barrier_wait(&keeps);
        usleep(20); /* the other one begins */
        for (int i = 0; i < MANY; i++) {
            objects[i] = goalloc_malloc(heap, 4000);
            good = good && objects[i];
            if (objects[i])
                memcpy(objects[i], &i, sizeof(i));
        }
        for (int i = 0; i < MANY && good; i++)
            good = memcmp(objects[i], &i, sizeof(i)) == 0;
        for (int i = 0; i < MANY; i++)
            goalloc_free(heap, objects[i]);
        pthread_barrier_wait(&may_end);
    }
    (void)unused;
    return good ? &enough : NULL;
}

static void of_one_who_goes_on(void)
{
    open_heap("1G");
    enough = false;
    pthread_barrier_init(&keeps, NULL, 2);
    pthread_barrier_init(&may_end, NULL, 2);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, go_on_meanwhile, NULL), 0);
    for (int i = 0; i < 300; i++) {
        pthread_barrier_wait(&keeps);
        (void)ga_reclaim(heap, GA_RECLAIM_UNUSED);
        enough = i == 299;
        pthread_barrier_wait(&may_end);
    }
    void *good = NULL;
    pthread_join(thread, &good);
    CU_ASSERT_PTR_NOT_NULL(good);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    close_heap();
}

/* What an exited thread had is nobody's, and nothing is put into its memory any more. */
static void *tell_where(void *ret)
{
    goalloc_free(heap, goalloc_malloc(heap, 10));
    *(struct ga_tls **)ret = &ga_tls;
    return NULL;
}

static void not_of_the_exited(void)
{
    open_heap("64M");
    pthread_t thread;
    struct ga_tls *tls = NULL;
    goalloc_free(heap, goalloc_malloc(heap, 10));
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, tell_where, &tls), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_PTR_NOT_NULL(tls);
    unsigned nhomes = 0;
    for (const struct ga_thread_cache *c = heap->caches; c; c = c->next_of_heap) {
        CU_ASSERT_PTR_NOT_EQUAL(c->home, tls);
        nhomes += c->home != NULL;
    }
    CU_ASSERT_EQUAL(nhomes, 1);
    close_heap();
}

/* A fork meanwhile: nothing is away in the child, which goes on as itself. */
static void *reclaim_on_and_on(void *unused)
{
    while (!enough)
        ga_reclaim(heap, GA_RECLAIM_UNUSED);
    return unused;
}

static void of_those_who_fork(void)
{
    open_heap("256M");
    enough = false;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reclaim_on_and_on, NULL), 0);
    void *p = goalloc_malloc(heap, 50);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            void *own = goalloc_malloc(heap, 70);
            goalloc_free(heap, own);
            _exit(own ? 0 : 1);
        }
        int status = -1;
        CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
        goalloc_free(heap, p);
        p = goalloc_malloc(heap, 50);
        CU_ASSERT_PTR_NOT_NULL(p);
    }
    goalloc_free(heap, p);
    enough = true;
    pthread_join(thread, NULL);
    close_heap();
}

/* ---- memory is not short ---- */

/* What a thread does not need goes back, also while it is busy with other things. */
static void unneeded_goes_back(void)
{
    open_heap("256M");
    void *first = use_and_keep_empty(1000);
    CU_ASSERT_PTR_NOT_NULL(first);
    CU_ASSERT(stats_now().heap_inuse > 32 * MIB);
    for (int i = 0; i < 2000 && stats_now().heap_inuse > 4 * MIB; i++) {
        for (int n = 0; n < 100; n++)
            goalloc_free(heap, goalloc_malloc(heap, 50));
        usleep(10000);
    }
    CU_ASSERT(stats_now().heap_inuse <= 4 * MIB);
    goalloc_free(heap, first);
    close_heap();
}

/* What is used again each time does not. The server may ask at the same moment, and then it does:
 * so one of three will do. */
static void needed_stays(void)
{
    open_heap("256M");
    goalloc_free(heap, use_and_keep_empty(1000));
    (void)ga_reclaim(heap, GA_RECLAIM_UNNEEDED);
    bool stayed = false;
    for (int i = 0; i < 3 && !stayed; i++) {
        goalloc_free(heap, use_and_keep_empty(1000));
        (void)ga_reclaim(heap, GA_RECLAIM_UNNEEDED);
        stayed = stats_now().heap_inuse > 32 * MIB;
    }
    CU_ASSERT(stayed);
    close_heap();
}

/* ---- a process that is stopped ---- */

static pid_t start_keeper(void)
{
    int ready[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        void *first = use_and_keep_empty(1000);
        ssize_t n = write(ready[1], "k", 1);
        _exit(first && n == 1 && pause() == 0);
    }
    char byte;
    CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static bool await_said(const char *what)
{
    for (int ms = 0; ms < 5000; ms++) {
        if (ga_daemon_said(&daemon_, what))
            return true;
        usleep(1000);
    }
    return false;
}

static void stopped_is_named(void)
{
    open_heap("64M");
    pid_t keeper = start_keeper();
    int status;
    CU_ASSERT_EQUAL(kill(keeper, SIGSTOP), 0);
    CU_ASSERT_EQUAL(waitpid(keeper, &status, WUNTRACED), keeper);
    time_t begin = time(NULL);
    CU_ASSERT(count_mib(100 * KIB) < 40);
    CU_ASSERT(time(NULL) - begin < 10); /* and nobody waits for it */
    char line[64];
    snprintf(line, sizeof(line), "pid %d) is stopped, so it was not asked", (int)keeper);
    CU_ASSERT(await_said(line));
    CU_ASSERT_FALSE(ga_daemon_said(&daemon_, "does not answer"));

    /* It goes on, is asked the next time, and gives what it has. */
    CU_ASSERT_EQUAL(kill(keeper, SIGCONT), 0);
    size_t mib = 0;
    for (int i = 0; i < 50 && mib <= 50; i++) {
        usleep(100000);
        mib = count_mib(100 * KIB);
    }
    CU_ASSERT(mib > 50);
    kill(keeper, SIGKILL);
    waitpid(keeper, &status, 0);
    close_heap();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a sleeping thread's small spans", of_small_objects},
        {"a sleeping thread's large spans", of_large_objects},
        {"a sleeping thread's collected frees", of_collected_frees},
        {"threads at work", of_threads_at_work},
        {"not of who is busy", not_of_the_busy},
        {"one who goes on meanwhile", of_one_who_goes_on},
        {"not of exited threads", not_of_the_exited},
        {"fork meanwhile", of_those_who_fork},
        {"what is not needed goes back", unneeded_goes_back},
        {"what is needed stays", needed_stays},
        {"a stopped process is named", stopped_is_named},
    };
    signal(SIGPIPE, SIG_IGN);
    int r = ga_test_main("integration.idle", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_daemon_clean_up() == 0 ? r : 1;
}
