/* Roots and refs through the library: what several processes, or several threads, do with one name.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define MIB (1024 * 1024)
#define FAR (UINT64_C(1) << 40) /* more than any heap reserves */

static struct ga_test_server server;
static struct goalloc_heap *heap;

static void *object(size_t size)
{
    void *p = goalloc_malloc(heap, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static uint64_t objects_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_objects;
}

/* ---- refs ---- */

static void refs(void)
{
    uint64_t ref = 7;
    CU_ASSERT_EQUAL(goalloc_to_ref(heap, NULL, &ref), 0);
    CU_ASSERT_EQUAL(ref, 0);
    errno = 77;
    CU_ASSERT_PTR_NULL(goalloc_from_ref(heap, 0));

    char *small = object(100);
    char *large = object(MIB);
    const char *const inside[] = {small, small + 1, small + 99, large, large + MIB - 1};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        CU_ASSERT_EQUAL(goalloc_to_ref(heap, inside[i], &ref), 0);
        CU_ASSERT(ref > 0 && ref < 64 * MIB);
        CU_ASSERT_PTR_EQUAL(goalloc_from_ref(heap, ref), inside[i]);
    }
    CU_ASSERT_EQUAL(errno, 77);
    goalloc_to_ref(heap, small, &ref);
    char *base = small - ref;
    uint64_t next = 0;
    goalloc_to_ref(heap, small + 1, &next);
    CU_ASSERT_EQUAL(next, ref + 1);

    ref = 7;
    int local;
    const char *const foreign[] = {(char *)&local, base - 1, base, base + FAR, (char *)1};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        CU_ASSERT_EQUAL(goalloc_to_ref(heap, foreign[i], &ref), -EINVAL);
    CU_ASSERT_EQUAL(ref, 7);
    const uint64_t bad[] = {1, 4096, FAR, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        errno = 0;
        CU_ASSERT_PTR_NULL(goalloc_from_ref(heap, bad[i]));
        CU_ASSERT_EQUAL(errno, EINVAL);
    }
    goalloc_free(heap, small);
    goalloc_free(heap, large);
}

/* ---- replace ---- */

static void replacing(void)
{
    char *first = object(64);
    char *second = object(MIB);
    void *old = &heap;
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", first, &old), 0);
    CU_ASSERT_PTR_NULL(old); /* the name was free */
    CU_ASSERT_EQUAL(goalloc_publish(heap, "name", second), -EEXIST);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", second, &old), 0);
    CU_ASSERT_PTR_EQUAL(old, first);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "name", &found), 0);
    CU_ASSERT_PTR_EQUAL(found, second);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", second, &old), 0);
    CU_ASSERT_PTR_EQUAL(old, second); /* by itself */

    old = &heap;
    char long_name[GOALLOC_NAME_MAX + 2];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[GOALLOC_NAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(goalloc_replace(heap, long_name, first, &old), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "", first, &old), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_replace(heap, NULL, first, &old), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", NULL, &old), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", first + 8, &old), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", &old, &old), -EINVAL);
    goalloc_free(heap, first);
    CU_ASSERT_EQUAL(goalloc_replace(heap, "name", first, &old), -EINVAL);
    CU_ASSERT_PTR_EQUAL(old, &heap);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "name", &found), 0);
    CU_ASSERT_PTR_EQUAL(found, second);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "name"), 0);
    goalloc_free(heap, second);
}

enum { SWAPS = 300, SWAPPERS = 4 };

/* Puts objects of its own under the name and frees what was there: if two got the same old object,
 * one of them frees twice, and if one got lost, it stays. */
static void *swap(void *data)
{
    int *failures = data;
    for (int i = 0; i < SWAPS; i++) {
        void *mine = goalloc_malloc(heap, 48);
        void *old = NULL;
        if (!mine || goalloc_replace(heap, "swapped", mine, &old) < 0)
            ++*failures;
        goalloc_free(heap, old);
    }
    return NULL;
}

/* ---- another process ---- */

/* Start this program once more, to do what is said: see be_other. A child of fork would do as well,
 * but ThreadSanitizer cannot follow one that starts the library's thread. */
static pid_t start_other(const char *what)
{
    char *argv[] = {(char *)"other", (char *)(uintptr_t)what, server.socket, NULL};
    pid_t child = -1;
    CU_ASSERT_EQUAL_FATAL(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    return child;
}

/* Swap, or wait for what is published under the name, an object with the name's last letter. */
static int be_other(const char *what, const char *socket)
{
    if (goalloc_attach(socket, NULL, &heap) < 0)
        return 2;
    int failures = 0;
    if (strcmp(what, "swap") == 0) {
        swap(&failures);
    } else {
        void *found = NULL;
        failures = goalloc_wait(heap, what, GOALLOC_FOR_EVER, &found) < 0 ||
                   strcmp(found, what + strlen(what) - 1) != 0;
    }
    goalloc_detach(heap);
    return failures ? 1 : 0;
}

static void swapping_at_once(void)
{
    uint64_t before = objects_now();
    pid_t child = start_other("swap");
    pthread_t threads[SWAPPERS];
    int failures[SWAPPERS] = {0};
    for (int i = 0; i < SWAPPERS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, swap, &failures[i]), 0);
    for (int i = 0; i < SWAPPERS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(failures[i], 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    void *last = NULL;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "swapped", &last), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "swapped"), 0);
    CU_ASSERT_EQUAL(objects_now(), before + 1);
    goalloc_free(heap, last);
}

/* ---- wait ---- */

static void waiting_alone(void)
{
    char *p = object(64);
    void *found = &heap;
    CU_ASSERT_EQUAL(goalloc_wait(heap, "late", 0, &found), -ENOENT);
    CU_ASSERT_EQUAL(goalloc_wait(heap, "late", 1, &found), -ETIMEDOUT);
    CU_ASSERT_EQUAL(goalloc_wait(heap, "", 1, &found), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_wait(heap, NULL, 1, &found), -EINVAL);
    char long_name[GOALLOC_NAME_MAX + 2];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[GOALLOC_NAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(goalloc_wait(heap, long_name, 1, &found), -ENAMETOOLONG);
    CU_ASSERT_PTR_EQUAL(found, &heap);
    /* The answer to a wait that was given up disturbs nobody. */
    CU_ASSERT_EQUAL(goalloc_publish(heap, "late", p), 0);
    CU_ASSERT_EQUAL(goalloc_wait(heap, "late", 0, &found), 0);
    CU_ASSERT_PTR_EQUAL(found, p);
    found = NULL;
    CU_ASSERT_EQUAL(goalloc_wait(heap, "late", GOALLOC_FOR_EVER, &found), 0);
    CU_ASSERT_PTR_EQUAL(found, p);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "late"), 0);
    goalloc_free(heap, p);
}

enum { WAITERS = 20, PROCESSES = 3 };

struct wait {
    const char *name;
    uint32_t timeout_ms;
    int result;
    void *found;
};

static void *wait_for(void *data)
{
    struct wait *wait = data;
    wait->result = goalloc_wait(heap, wait->name, wait->timeout_ms, &wait->found);
    return NULL;
}

/* Threads and processes wait for two names, one of which comes by replace. Whoever comes after the
 * publishing finds it at once, so the test needs to know nothing of the order. */
static void many_waiting(void)
{
    pthread_t threads[WAITERS];
    struct wait waits[WAITERS];
    pid_t children[PROCESSES];
    char *p = object(64);
    char *q = object(64);
    memcpy(q, "q", 2);
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start_other("awaited q");
    for (int i = 0; i < WAITERS; i++) {
        waits[i] = (struct wait){.name = i % 2 ? "awaited p" : "awaited q",
                                 .timeout_ms = i % 3 ? GOALLOC_FOR_EVER : 60000,
                                 .result = 1};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, wait_for, &waits[i]), 0);
    }
    struct wait in_vain = {.name = "nobody's", .timeout_ms = 20};
    wait_for(&in_vain);
    CU_ASSERT_EQUAL(in_vain.result, -ETIMEDOUT);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "awaited p", p), 0);
    void *old = &old;
    CU_ASSERT_EQUAL(goalloc_replace(heap, "awaited q", q, &old), 0);
    CU_ASSERT_PTR_NULL(old);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(waits[i].result, 0);
        CU_ASSERT_PTR_EQUAL(waits[i].found, i % 2 ? p : q);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        CU_ASSERT_EQUAL(status, 0);
    }
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "awaited p"), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "awaited q"), 0);
    goalloc_free(heap, p);
    goalloc_free(heap, q);
}

/* A process that is killed while it waits is forgotten, and the others are not. */
static void killed_while_waiting(void)
{
    pid_t child = start_other("for the living");
    struct wait wait = {.name = "for the living", .timeout_ms = GOALLOC_FOR_EVER, .result = 1};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wait_for, &wait), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    char *p = object(64);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "for the living", p), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(wait.result, 0);
    CU_ASSERT_PTR_EQUAL(wait.found, p);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "for the living"), 0);
    goalloc_free(heap, p);
}

static int nreports;

static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)data;
    fprintf(stderr, "report: %s\n", message);
    __atomic_add_fetch(&nreports, 1, __ATOMIC_RELAXED);
}

static void nothing_reported(void)
{
    CU_ASSERT_EQUAL(nreports, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return be_other(argv[1], argv[2]);
    static const struct ga_test tests[] = {
        {"refs", refs},
        {"replacing", replacing},
        {"swapping at once", swapping_at_once},
        {"waiting alone", waiting_alone},
        {"many waiting", many_waiting},
        {"killed while waiting", killed_while_waiting},
        {"nothing reported", nothing_reported},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    struct goalloc_options options = {.size = sizeof(options), .report = on_report};
    if (goalloc_attach(server.socket, &options, &heap) < 0)
        return 2;
    int r = ga_test_main("integration.client_roots", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? r : 1;
}
