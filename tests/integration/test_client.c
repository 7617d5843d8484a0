/* The library against a real server, one process at a time: every function of goalloc.h, its
 * errors, and the sentence for every misuse. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

static struct ga_test_server server;
static struct goalloc_heap *heap;
static char reported[512]; /* the last report */
static unsigned nreports;

static void remember(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    nreports++;
    snprintf(reported, sizeof(reported), "%d %s", (int)kind, message);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_options options = {
        .size = sizeof(options), .client_name = "tester", .report = remember};
    struct goalloc_heap *attached = NULL;
    int r = goalloc_attach(server.socket, &options, &attached);
    if (r < 0)
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
    return attached;
}

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

static void sizes_and_alignments(void)
{
    static const size_t sizes[] = {0,    1,    8,     9,     15,    16,    17,     24,     25,
                                   1024, 8192, 32767, 32768, 32769, 65536, 262144, 8388608};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        char *p = goalloc_malloc(heap, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT(goalloc_contains(heap, p));
        CU_ASSERT_EQUAL((uintptr_t)p % (size >= 16 ? 16 : 8), 0);
        CU_ASSERT(goalloc_usable_size(heap, p) >= (size ? size : 1));
        memset(p, 0xa5, size);
        goalloc_free(heap, p);
    }
    for (size_t alignment = 1; alignment <= 8192; alignment *= 2) {
        for (size_t size = 1; size <= 40000; size = size * 3 + 1) {
            void *p = goalloc_alloc(heap, size, alignment, GOALLOC_NOSCAN);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_EQUAL((uintptr_t)p % alignment, 0);
            goalloc_free(heap, p);
        }
    }
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_alloc(heap, 1, 24, 0));
    CU_ASSERT_EQUAL(errno, EINVAL);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_alloc(heap, 1, 0, 1u << 7));
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* Every power of two, sizes that are no multiple of it; the heap's limit is 64 MiB. */
static void large_alignments(void)
{
    static const size_t sizes[] = {0, 1, 17, 8193, 40000, 1000003};
    for (size_t alignment = 1; alignment <= (size_t)16 << 20; alignment *= 2) {
        char *p[sizeof(sizes) / sizeof(sizes[0])];
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            p[i] = goalloc_aligned_alloc(heap, alignment, sizes[i]);
            if (!p[i] && alignment > (size_t)4 << 20)
                continue; /* what others of this round leave has no room for it */
            CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
            CU_ASSERT_EQUAL((uintptr_t)p[i] % alignment, 0);
            CU_ASSERT(goalloc_usable_size(heap, p[i]) >= sizes[i]);
            memset(p[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            size_t wrong = 0;
            for (size_t j = 0; p[i] && j < sizes[i]; j++)
                wrong += p[i][j] != (char)i;
            CU_ASSERT_EQUAL(wrong, 0);
            goalloc_free(heap, p[i]);
        }
        /* All of it can be had again: nothing that was left out is lost. */
        void *most = goalloc_malloc(heap, 62 << 20);
        CU_ASSERT_PTR_NOT_NULL(most);
        goalloc_free(heap, most);
    }
    static const struct {
        size_t alignment;
        int error;
    } bad[] = {{0, EINVAL},
               {3, EINVAL},
               {24577, EINVAL},
               {(size_t)1 << 31, EINVAL},
               {(size_t)1 << 63, EINVAL},
               {(size_t)1 << 30, ENOMEM}}; /* more than the limit */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        errno = 0;
        size_t alignment = bad[i].alignment;
        CU_ASSERT_PTR_NULL(goalloc_aligned_alloc(heap, alignment, 100));
        CU_ASSERT_EQUAL(errno, bad[i].error);
    }
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_aligned_alloc(heap, 65536, (size_t)1 << 40));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void zeroed_memory(void)
{
    for (size_t size = 1; size <= 200000; size = size * 2 + 3) {
        for (int round = 0; round < 3; round++) {
            unsigned char *p = goalloc_calloc(heap, 1, size);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            size_t nonzero = 0;
            for (size_t i = 0; i < size; i++)
                nonzero += p[i] != 0;
            CU_ASSERT_EQUAL(nonzero, 0);
            memset(p, 0xff, size);
            goalloc_free(heap, p);
        }
    }
    errno = 0;
    size_t huge = strtoul("9223372036854775807", NULL, 10); /* compilers refuse it as a constant */
    CU_ASSERT_PTR_NULL(goalloc_calloc(heap, huge, 3));
    CU_ASSERT_EQUAL(errno, ENOMEM);
}

static void resizing(void)
{
    unsigned char *p = goalloc_realloc(heap, NULL, 10);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 7, 10);
    size_t before = 10;
    for (size_t size = 20; size <= 1000000; size = size * 5 / 2) {
        p = goalloc_realloc(heap, p, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        size_t wrong = 0;
        for (size_t i = 0; i < before; i++)
            wrong += p[i] != 7;
        CU_ASSERT_EQUAL(wrong, 0);
        memset(p, 7, size);
        before = size;
    }
    p = goalloc_realloc(heap, p, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL(p[99], 7);
    CU_ASSERT(goalloc_usable_size(heap, p) < 200);
    unsigned char *same = goalloc_realloc(heap, p, 101);
    CU_ASSERT_PTR_EQUAL(same, p);
    CU_ASSERT_PTR_NULL(goalloc_realloc(heap, same, 0));
    goalloc_free(heap, NULL);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* Large objects grow into free pages behind them and give their tail back, without moving. */
static void resizing_large(void)
{
    char *p = goalloc_malloc(heap, 20 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    uint64_t inuse = stats_now().heap_inuse;
    memset(p, 'x', 20 << 20);
    char *q = goalloc_realloc(heap, p, 5 << 20);
    CU_ASSERT_PTR_EQUAL_FATAL(q, p);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p), 5 << 20);
    CU_ASSERT_EQUAL(inuse - stats_now().heap_inuse, 15 << 20);
    q = goalloc_realloc(heap, p, (12 << 20) + 1);
    CU_ASSERT_PTR_EQUAL_FATAL(q, p);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p), (12 << 20) + 8192);
    CU_ASSERT(p[0] == 'x' && p[(5 << 20) - 1] == 'x');
    memset(p, 'y', (12 << 20) + 1);
    char *next = goalloc_malloc(heap, 1 << 20); /* in the way, or before */
    q = goalloc_realloc(heap, p, 25 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT(q[0] == 'y' && q[12 << 20] == 'y');
    goalloc_free(heap, next);
    goalloc_free(heap, q);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* The report that a misuse of p by function must give; %p stands for the pointer. */
static void expect_report(const char *function, const void *p, const char *rest)
{
    char expected[512];
    snprintf(expected, sizeof(expected), "1 %s(%p): %s; nothing was changed", function, p, rest);
    CU_ASSERT_EQUAL(nreports, 1);
    CU_ASSERT_STRING_EQUAL(reported, expected);
    if (strcmp(reported, expected) != 0)
        fprintf(stderr, "reported: %s\nexpected: %s\n", reported, expected);
    nreports = 0;
    reported[0] = '\0';
}

static void bad_frees(void)
{
    int on_stack = 0;
    char rest[256];
    char *p = goalloc_malloc(heap, 100);
    char *keep = goalloc_malloc(heap, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(keep);

    uintptr_t base = (uintptr_t)p & ~(((uintptr_t)64 << 20) - 1);
    snprintf(rest, sizeof(rest), "not in this heap (%#lx to %#lx)", (unsigned long)base,
             (unsigned long)(base + GA_TEST_RESERVE));
    goalloc_free(heap, &on_stack);
    expect_report("goalloc_free", &on_stack, rest);

    snprintf(rest, sizeof(rest), "inside an object: it begins at %p and has 112 bytes", (void *)p);
    goalloc_free(heap, p + 1);
    expect_report("goalloc_free", p + 1, rest);
    goalloc_free(heap, p + 104);
    expect_report("goalloc_free", p + 104, rest);

    static const char twice[] =
        "the object is not in use: a double free, or never allocated (112 bytes)";
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 0);
    goalloc_free(heap, p);
    expect_report("goalloc_free", p, twice);
    CU_ASSERT_PTR_NULL(goalloc_realloc(heap, p, 50));
    expect_report("goalloc_realloc", p, twice);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p), 0);
    expect_report("goalloc_usable_size", p, twice);

    void *past = (void *)(base + GA_TEST_RESERVE - 1024);
    goalloc_free(heap, past);
    expect_report("goalloc_free", past, "past the end of the heap's memory");
    void *first = (void *)base;
    goalloc_free(heap, first);
    expect_report("goalloc_free", first, "no object is there: freed, or never allocated");

    /* The 112-byte class leaves 16 bytes behind the last of 73 slots. */
    char *tail = (char *)((uintptr_t)keep & ~(uintptr_t)8191) + 73 * 112;
    goalloc_free(heap, tail);
    expect_report("goalloc_free", tail, "behind the last object of a span of 112-byte objects");
    goalloc_free(heap, keep);

    char *large = goalloc_malloc(heap, 100000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    snprintf(rest, sizeof(rest), "inside an object: it begins at %p and has %zu bytes",
             (void *)large, goalloc_usable_size(heap, large));
    goalloc_free(heap, large + 8192);
    expect_report("goalloc_free", large + 8192, rest);
    goalloc_free(heap, large);
    CU_ASSERT_EQUAL(nreports, 0);
    goalloc_free(heap, large);
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
}

static void roots(void)
{
    char *p = goalloc_malloc(heap, 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    void *found = NULL;
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    CU_ASSERT_EQUAL(goalloc_publish(heap, name, p), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, name, &found), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, name), -ENAMETOOLONG);
    name[255] = '\0';
    CU_ASSERT_EQUAL(goalloc_lookup(heap, name, &found), -ENOENT);
    CU_ASSERT_EQUAL(goalloc_publish(heap, name, p), 0);
    CU_ASSERT_EQUAL(goalloc_publish(heap, name, p), -EEXIST);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, name, &found), 0);
    CU_ASSERT_PTR_EQUAL(found, p);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "", p), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "x", NULL), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "x", p + 8), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "\xff", p), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, name), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, name), -ENOENT);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "x", p), -EINVAL);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void *allocate_some(void *argument)
{
    void **objects = argument;
    for (int i = 0; i < 100; i++)
        objects[i] = goalloc_malloc(heap, 200);
    return NULL;
}

static void threads_come_and_go(void)
{
    static void *objects[20][100];
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, allocate_some, objects[i]), 0);
        pthread_join(thread, NULL);
    }
    /* One after the other they used one mcache, and so the same spans: 2,000 objects of 208 bytes
     * are 52 spans. */
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT(stats.heap_inuse < 4u << 20);
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 100; j++) {
            CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i][j]);
            goalloc_free(heap, objects[i][j]);
        }
    CU_ASSERT_EQUAL(nreports, 0);
}

/* The server's limit is 64 MiB. */
static void running_out(void)
{
    static void *objects[70000];
    size_t n = 0;
    errno = 0;
    while (n < 70000 && (objects[n] = goalloc_malloc(heap, 1024)) != NULL)
        n++;
    CU_ASSERT(n > 60000 && n < 65536);
    CU_ASSERT_EQUAL(errno, ENOMEM);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 1 << 20));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, (size_t)1 << 40));
    for (size_t i = 0; i < n; i++)
        memset(objects[i], 1, 1024);
    for (size_t i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
    void *large = goalloc_malloc(heap, 40 << 20);
    CU_ASSERT_PTR_NOT_NULL(large);
    goalloc_free(heap, large);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void forks(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer lets the child of a program with threads start none");
    return;
#endif
    char *p = goalloc_malloc(heap, 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    strcpy(p, "from the parent");
    pid_t child = fork();
    if (child == 0) {
        /* The child attaches as itself, reads by pointer, frees the parent's object. */
        bool good = strcmp(p, "from the parent") == 0;
        char *q = goalloc_malloc(heap, 64);
        good = good && q && q != p;
        if (q)
            strcpy(q, "from the child");
        goalloc_free(heap, p);
        good = good && nreports == 0 && goalloc_publish(heap, "child", q) == 0;
        goalloc_detach(heap);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    void *found = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_lookup(heap, "child", &found), 0);
    CU_ASSERT_STRING_EQUAL(found, "from the child");
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "child"), 0);
    goalloc_free(heap, found);
    CU_ASSERT_EQUAL(nreports, 0);
    goalloc_free(heap, p); /* the child did */
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
}

/* Objects of a process that is killed stay, and others can free them. */
static void killed_client(void)
{
    struct goalloc_memstats before = stats_now();
    pid_t child = fork();
    if (child == 0) {
        void **list = NULL;
        for (int i = 0; i < 1000; i++) {
            void **node = goalloc_malloc(heap, 48);
            if (!node)
                _exit(1);
            *node = (void *)list;
            list = node;
        }
        if (goalloc_publish(heap, "orphans", (void *)list) < 0)
            _exit(2);
        raise(SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CU_ASSERT(WIFSIGNALED(status));
    void *found = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_lookup(heap, "orphans", &found), 0);
    unsigned n = 0;
    for (void **node = found; node; n++) {
        void **next = *node;
        goalloc_free(heap, (void *)node);
        node = next;
    }
    CU_ASSERT_EQUAL(n, 1000);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "orphans"), 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, before.heap_objects);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void failed_attaches(void)
{
    struct goalloc_heap *other = NULL;
    char expected[512];
    CU_ASSERT_EQUAL(goalloc_attach("/nonexistent/sock", NULL, &other), -ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(goalloc_attach_error(), "/nonexistent/sock"));

    /* The heap's window is taken: by itself. */
    CU_ASSERT_EQUAL(goalloc_attach(server.socket, NULL, &other), -EADDRINUSE);
    snprintf(expected, sizeof(expected), "heap '%s' lies at", server.heap_name);
    CU_ASSERT_PTR_NOT_NULL(strstr(goalloc_attach_error(), expected));
    struct goalloc_options options = {.size = 3};
    CU_ASSERT_EQUAL(goalloc_attach(server.socket, &options, &other), -EINVAL);
    char too_long[200];
    memset(too_long, 'x', sizeof(too_long));
    too_long[199] = '\0';
    CU_ASSERT_EQUAL(goalloc_attach(too_long, NULL, &other), -ENAMETOOLONG);
    CU_ASSERT_PTR_NULL(other);
}

static void *hold_a_cache(void *argument)
{
    pthread_barrier_t *barrier = argument;
    void *p = goalloc_malloc(heap, 16);
    goalloc_free(heap, p);
    pthread_barrier_wait(barrier); /* detached and attached anew by the main thread in between */
    pthread_barrier_wait(barrier);
    void *q = goalloc_malloc(heap, 16);
    goalloc_free(heap, q);
    return q;
}

/* A thread that lives through a detach finds nothing of the old attachment in the new one. */
static void attach_again(void)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, hold_a_cache, &barrier), 0);
    pthread_barrier_wait(&barrier);
    goalloc_detach(heap);
    heap = attach();
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    pthread_barrier_wait(&barrier);
    void *result;
    pthread_join(thread, &result);
    CU_ASSERT_PTR_NOT_NULL(result);
    pthread_barrier_destroy(&barrier);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void empty_at_the_end(void)
{
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT_EQUAL(stats.heap_objects, 0);
    CU_ASSERT_EQUAL(stats.alloc, 0);
}

/* What a client can do when its server is gone: use what it has, and be told. */
static void *free_as_stranger(void *p)
{
    goalloc_free(heap, p);
    return NULL;
}

static void server_gone(void)
{
    pthread_t stranger; /* it never had an mcache, and gets none now */
    void *given = goalloc_malloc(heap, 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(given);
    void *p = goalloc_malloc(heap, 64);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(ga_test_server_stop(&server));
    void *found;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "x", &found), -ENOTCONN);
    void *q = goalloc_malloc(heap, 64);
    CU_ASSERT_PTR_NOT_NULL(q);
    goalloc_free(heap, q);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&stranger, NULL, free_as_stranger, given), 0);
    pthread_join(stranger, NULL);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 1 << 20));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    goalloc_detach(heap); /* ends the thread that reports the loss */
    CU_ASSERT_EQUAL(nreports, 1);
    CU_ASSERT_STRING_EQUAL(
        reported, "2 the heap has ended with its server; what is leased can still be used");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"sizes and alignments", sizes_and_alignments},
        {"large alignments", large_alignments},
        {"zeroed memory", zeroed_memory},
        {"resizing", resizing},
        {"resizing large", resizing_large},
        {"bad frees", bad_frees},
        {"roots", roots},
        {"threads come and go", threads_come_and_go},
        {"running out", running_out},
        {"forks", forks},
        {"killed client", killed_client},
        {"failed attaches", failed_attaches},
        {"attach again", attach_again},
        {"empty at the end", empty_at_the_end},
        {"server gone", server_gone},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    heap = attach();
    if (!heap)
        return 2;
    return ga_test_main("integration.client", tests, sizeof(tests) / sizeof(tests[0]));
}
