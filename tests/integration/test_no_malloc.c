/* After goalloc_attach the library calls the process's malloc no more, on any thread, its own
 * included: this program's malloc and the rest are its own, which count. What the program itself
 * needs of them is not counted: it says so around the call.
 *
 * goalloc_detach frees what attach allocated, and a child of fork that attaches as itself opens a
 * channel; both are left out. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

enum { THREADS = 4, OBJECTS = 400, MANY = 70000, KIB = 1024 };

/* ---- the counting malloc ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static atomic_ulong ncalls;
static _Thread_local int own; /* depth of what this program itself does */

static void note_call(void)
{
    if (own == 0)
        atomic_fetch_add(&ncalls, 1);
}

void *malloc(size_t size)
{
    note_call();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    note_call();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    note_call();
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    note_call();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    note_call();
    void *p = __libc_memalign(alignment, size);
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

void free(void *p)
{
    if (p)
        note_call();
    __libc_free(p);
}

/* From here to none_counted the main thread is counted too; all others always are. */
static void begin(void)
{
    own--;
}

/* Whether nothing has been counted since the last call; said aloud if something has. */
static bool none_counted(const char *what)
{
    own++;
    unsigned long n = atomic_exchange(&ncalls, 0);
    if (n)
        fprintf(stderr, "%s: %lu calls of malloc\n", what, n);
    return n == 0;
}

/* ---- the program ---- */

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *exchanged[THREADS][OBJECTS];
static void *filled[MANY];
static atomic_uint nreports;
static pthread_barrier_t barrier;

static void count_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)message;
    (void)data;
    atomic_fetch_add(&nreports, 1);
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    own++;
    CU_ASSERT_EQUAL_FATAL(pthread_create(thread, NULL, run, argument), 0);
    own--;
}

static void join_thread(pthread_t thread)
{
    own++;
    pthread_join(thread, NULL);
    own--;
}

/* Allocate, free here, let others free; then exit, which leaves the mcache to the process. */
static void *exchange(void *argument)
{
    void **mine = argument;
    size_t me = (size_t)(mine - exchanged[0]) / OBJECTS;
    for (size_t i = 0; i < OBJECTS; i++)
        mine[i] = goalloc_malloc(heap, 1 + i * 97 % 40000);
    pthread_barrier_wait(&barrier);
    void **theirs = exchanged[(me + 1) % THREADS];
    for (size_t i = 0; i < OBJECTS; i += 2)
        goalloc_free(heap, theirs[i]);
    pthread_barrier_wait(&barrier);
    for (size_t i = 1; i < OBJECTS; i += 2)
        goalloc_free(heap, mine[i]);
    return NULL;
}

static void threads(void)
{
    begin();
    for (int round = 0; round < 3; round++) {
        pthread_t running[THREADS];
        for (int i = 0; i < THREADS; i++)
            start_thread(&running[i], exchange, exchanged[i]);
        for (int i = 0; i < THREADS; i++)
            join_thread(running[i]);
    }
    CU_ASSERT(none_counted("threads"));
}

static void sizes(void)
{
    begin();
    for (size_t size = 0; size <= 3 * KIB * KIB; size += 1 + size / 7) {
        void *p = goalloc_malloc(heap, size);
        void *q = goalloc_calloc(heap, 1, size);
        void *r = goalloc_alloc(heap, size, 4096, GOALLOC_NOSCAN);
        CU_ASSERT(p && q && r);
        p = goalloc_realloc(heap, p, size * 2 + 1);
        CU_ASSERT(goalloc_usable_size(heap, p) > size * 2);
        goalloc_free(heap, p);
        goalloc_free(heap, q);
        goalloc_free(heap, r);
    }
    CU_ASSERT(none_counted("sizes"));
}

static void roots(void)
{
    begin();
    void *p = goalloc_malloc(heap, 64);
    char name[64];
    for (int i = 0; i < 300; i++) {
        void *found = NULL;
        snprintf(name, sizeof(name), "root-%d", i);
        CU_ASSERT(goalloc_publish(heap, name, p) == 0);
        CU_ASSERT(goalloc_publish(heap, name, p) == -EEXIST);
        CU_ASSERT(goalloc_lookup(heap, name, &found) == 0 && found == p);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "root-%d", i);
        CU_ASSERT(goalloc_unpublish(heap, name) == 0);
    }
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    for (int i = 0; i < 100; i++)
        CU_ASSERT(goalloc_memstats(heap, &stats) == 0);
    goalloc_free(heap, p);
    CU_ASSERT(none_counted("roots and statistics"));
}

/* Leave spans that are not used to the process, for the server's call to reclaim to find. */
static void *leave_idle_spans(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < OBJECTS; i++)
        exchanged[0][i] = goalloc_malloc(heap, 2000);
    for (size_t i = 0; i < OBJECTS; i++)
        goalloc_free(heap, exchanged[0][i]);
    return NULL;
}

static void running_out(void)
{
    begin();
    pthread_t thread;
    start_thread(&thread, leave_idle_spans, NULL);
    join_thread(thread);
    for (int round = 0; round < 2; round++) {
        size_t n = 0;
        while (n < MANY && (filled[n] = goalloc_malloc(heap, KIB)) != NULL)
            n++;
        CU_ASSERT(n > 50000 && n < MANY);
        errno = 0;
        CU_ASSERT(goalloc_malloc(heap, 4 * KIB * KIB) == NULL && errno == ENOMEM);
        while (n > 0)
            goalloc_free(heap, filled[--n]);
    }
    CU_ASSERT(none_counted("running out of memory"));
}

static void misuse(void)
{
    begin();
    void *p = goalloc_malloc(heap, 100);
    goalloc_free(heap, p);
    unsigned before = atomic_load(&nreports);
    goalloc_free(heap, p);
    goalloc_free(heap, &p);
    CU_ASSERT_EQUAL(atomic_load(&nreports), before + 2);
    CU_ASSERT(none_counted("misuse"));
}

/* The server goes, with calls waiting for it: the library's thread ends them. */
static void *call_for_ever(void *unused)
{
    (void)unused;
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    while (goalloc_memstats(heap, &stats) == 0)
        continue;
    return NULL;
}

static void server_gone(void)
{
    begin();
    void *p = goalloc_malloc(heap, 64);
    pthread_t running[THREADS];
    for (int i = 0; i < THREADS; i++)
        start_thread(&running[i], call_for_ever, NULL);
    own++;
    CU_ASSERT(ga_test_server_stop(&server));
    own--;
    for (int i = 0; i < THREADS; i++)
        join_thread(running[i]);
    void *found;
    CU_ASSERT(goalloc_lookup(heap, "x", &found) < 0);
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, KIB * KIB));
    goalloc_free(heap, p);
    CU_ASSERT(none_counted("the server's end"));
}

/* That the counting counts. */
static void counts(void)
{
    void *(*volatile allocate)(size_t) = malloc;
    begin();
    void *p = allocate(10);
    free(p);
    own++;
    CU_ASSERT_EQUAL(atomic_exchange(&ncalls, 0), 2);
}

/* glibc allocates for each thread that sets a value of a key beyond the first 32; the library must
 * have made its own before a program can get there. */
static void use_up_keys(void)
{
    pthread_key_t key;
    for (int i = 0; i < 40; i++)
        if (pthread_key_create(&key, NULL) != 0)
            exit(2);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"counts", counts},           {"sizes", sizes},
        {"threads", threads},         {"roots", roots},
        {"misuse", misuse},           {"running out", running_out},
        {"server gone", server_gone},
    };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    puts("skipped: a sanitizer brings a malloc of its own");
    return 77;
#endif
    own++;
    use_up_keys();
    pthread_barrier_init(&barrier, NULL, THREADS);
    struct goalloc_options options = {.size = sizeof(options), .report = count_report};
    if (!ga_test_server_start("64M", &server) || goalloc_attach(server.socket, &options, &heap) < 0)
        return 2;
    atomic_store(&ncalls, 0);
    int r = ga_test_main("integration.no_malloc", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    pthread_barrier_destroy(&barrier);
    return r;
}
