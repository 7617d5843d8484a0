/* Tiny objects with a real server: sizes, alignments, frees by this thread, by others and by other
 * processes, misuse, what a killed process leaves, and what they cost. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define NOBJECTS 30000u

static struct ga_test_server server;
static struct goalloc_heap *heap;
static char reported[512]; /* the last report */
static _Atomic unsigned nreports;

static uint64_t random_state;

struct object {
    unsigned char *p;
    size_t size;
    unsigned char mark;
};
static struct object objects[NOBJECTS];

static void remember(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    nreports++;
    snprintf(reported, sizeof(reported), "%d %s", (int)kind, message);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_options options = {.size = sizeof(options), .report = remember};
    struct goalloc_heap *attached = NULL;
    if (goalloc_attach(server.socket, &options, &attached) < 0)
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
    return attached;
}

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

static uintptr_t alignment_of(size_t size)
{
    return size % 8 == 0 && size ? 8 : size % 4 == 0 && size ? 4 : size % 2 == 0 && size ? 2 : 1;
}

static uint32_t pick(uint32_t n)
{
    return (uint32_t)(ga_test_random(&random_state) % n);
}

static bool make(struct object *o, size_t size, unsigned flags)
{
    o->p = goalloc_alloc(heap, size, 0, GOALLOC_NOSCAN | flags);
    o->size = size;
    o->mark = (unsigned char)pick(256);
    if (!o->p)
        return false;
    bool good = (uintptr_t)o->p % alignment_of(size) == 0;
    for (size_t i = 0; i < size; i++)
        good = good && (!(flags & GOALLOC_ZERO) || o->p[i] == 0);
    memset(o->p, o->mark, size);
    return good && goalloc_usable_size(heap, o->p) >= (size ? size : 1);
}

static bool is_whole(const struct object *o)
{
    bool good = true;
    for (size_t i = 0; i < o->size; i++)
        good = good && o->p[i] == o->mark;
    return good;
}

/* Made, freed and resized in random order; each keeps what was written to it. */
static void mixed_sizes(void)
{
    unsigned nwrong = 0;
    for (unsigned i = 0; i < NOBJECTS; i++)
        nwrong += !make(&objects[i], pick(16), 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, NOBJECTS);
    for (unsigned round = 0; round < 200000; round++) {
        struct object *o = &objects[pick(NOBJECTS)];
        nwrong += !is_whole(o);
        if (pick(3)) {
            goalloc_free(heap, o->p);
            nwrong += !make(o, pick(16), pick(2) ? GOALLOC_ZERO : 0);
            continue;
        }
        size_t size = 1 + pick(40);
        unsigned char *p = goalloc_realloc(heap, o->p, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        nwrong += (uintptr_t)p % (size < 16 ? alignment_of(size) : 16) != 0;
        nwrong += goalloc_usable_size(heap, p) < size;
        for (size_t i = 0; i < size && i < o->size; i++)
            nwrong += p[i] != o->mark;
        memset(p, o->mark, size);
        o->p = p;
        o->size = size;
    }
    for (unsigned i = 0; i < NOBJECTS; i++) {
        nwrong += !is_whole(&objects[i]);
        goalloc_free(heap, objects[i].p);
    }
    CU_ASSERT_EQUAL(nwrong, 0);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

static void explicit_alignments(void)
{
    for (size_t size = 0; size < 16; size++)
        for (size_t alignment = 1; alignment <= 64; alignment *= 2) {
            void *odd = goalloc_alloc(heap, 1, 0, GOALLOC_NOSCAN); /* so that the block is begun */
            void *p = goalloc_alloc(heap, size, alignment, GOALLOC_NOSCAN);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_EQUAL((uintptr_t)p % alignment, 0);
            goalloc_free(heap, p);
            goalloc_free(heap, odd);
        }
    CU_ASSERT_EQUAL(nreports, 0);
}

static void expect_refused(void *p)
{
    char expected[512];
    snprintf(expected, sizeof(expected),
             "1 goalloc_free(%p): no tiny object in use begins there: a double free, inside an "
             "object, or never allocated; nothing was changed",
             p);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 1);
    CU_ASSERT_STRING_EQUAL(reported, expected);
    nreports = 0;
}

/* Sixteen objects of one byte have 32 bytes; what lies between them, or was freed, is refused. */
static void sixteen_bytes(void)
{
    char *p[16];
    char *first = goalloc_alloc(heap, 15, 0, GOALLOC_NOSCAN); /* so that the run is begun */
    for (int i = 0; i < 16; i++) {
        p[i] = goalloc_alloc(heap, 1, 0, GOALLOC_NOSCAN);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
        /* Beside the one before, unless another run is begun. */
        CU_ASSERT(i == 0 || p[i] == p[i - 1] + 2 || (uintptr_t)p[i] % 16 == 0);
        CU_ASSERT_EQUAL(goalloc_usable_size(heap, p[i]), 2);
        *p[i] = (char)i;
    }
    for (int i = 0; i < 16; i++) {
        CU_ASSERT_EQUAL(*p[i], i);
        expect_refused(p[i] + 1);
    }
    for (int i = 0; i < 16; i += 2)
        goalloc_free(heap, p[i]);
    CU_ASSERT_EQUAL(nreports, 0);
    for (int i = 0; i < 16; i += 2)
        expect_refused(p[i]);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "tiny", p[0]), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "tiny", p[1]), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "tiny"), 0);
    for (int i = 1; i < 16; i += 2)
        goalloc_free(heap, p[i]);
    char *long_one = goalloc_alloc(heap, 14, 0, GOALLOC_NOSCAN);
    expect_refused(long_one + 2);
    expect_refused(long_one + 8);
    expect_refused(long_one + 14); /* not handed out */
    goalloc_free(heap, long_one);
    goalloc_free(heap, first);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* Children free what the parent made, half of them killed on the way; the parent frees the rest,
 * and finds all of the memory again. */
static void other_processes(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer lets the child of a program with threads start none");
    return;
#endif
    for (unsigned i = 0; i < NOBJECTS; i++)
        CU_ASSERT(make(&objects[i], 1 + pick(8), 0));
    uint64_t inuse = stats_now().heap_inuse;
    for (unsigned c = 0; c < 4; c++) {
        pid_t child = fork();
        if (child == 0) {
            nreports = 0;
            for (unsigned i = c; i < NOBJECTS / 2; i += 4) {
                goalloc_free(heap, objects[i].p);
                goalloc_free(heap, goalloc_alloc(heap, 3, 0, GOALLOC_NOSCAN));
            }
            if (c % 2)
                raise(SIGKILL);
            goalloc_detach(heap);
            _exit(nreports == 0 ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        CU_ASSERT(c % 2 ? WIFSIGNALED(status) : status == 0);
    }
    for (unsigned i = NOBJECTS / 2; i < NOBJECTS; i++)
        CU_ASSERT(is_whole(&objects[i]));
    CU_ASSERT_EQUAL(stats_now().heap_objects, NOBJECTS - NOBJECTS / 2);
    for (unsigned i = 0; i < NOBJECTS / 2; i++)
        CU_ASSERT(make(&objects[i], 1 + pick(8), 0));
    CU_ASSERT(stats_now().heap_inuse <= inuse + (64 << 10));
    for (unsigned i = 0; i < NOBJECTS; i++)
        goalloc_free(heap, objects[i].p);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

/* ---- threads ---- */

#define NTHREADS 4u
#define SHELF    2048u

static _Atomic(unsigned char *) shelf[SHELF];
static _Atomic unsigned nspoiled;

/* Put an object on the shelf, take whatever was there, and free that. Its first byte is its size.
 */
static void *exchange(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    for (unsigned i = 0; i < 60000; i++) {
        size_t size = 1 + ga_test_random(&state) % 15;
        unsigned char *p = goalloc_alloc(heap, size, 0, GOALLOC_NOSCAN);
        if (!p) {
            nspoiled++;
            continue;
        }
        memset(p, (int)size, size);
        p = atomic_exchange(&shelf[ga_test_random(&state) % SHELF], p);
        for (size_t j = 0; p && j < p[0] && j < 16; j++)
            if (p[j] != p[0])
                nspoiled++;
        goalloc_free(heap, p);
    }
    return NULL;
}

static void threads_exchange(void)
{
    pthread_t threads[NTHREADS];
    for (uintptr_t i = 0; i < NTHREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(nspoiled, 0);
    for (unsigned i = 0; i < SHELF; i++)
        goalloc_free(heap, shelf[i]);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

/* Objects of 1 to 8 bytes: a general allocator's least slot has 8. Everything counted that is in
 * use for them: pages, entries, lines and tiny bits. At most 90 % of that. */
static void memory_of_small_ones(void)
{
    enum { MANY = 400000 };
    static void *many[MANY];
    struct goalloc_memstats before = stats_now();
    for (unsigned i = 0; i < MANY; i++)
        many[i] = goalloc_alloc(heap, 1 + pick(8), 0, GOALLOC_NOSCAN);
    struct goalloc_memstats after = stats_now();
    double bytes = (double)(after.heap_inuse - before.heap_inuse) +
                   (double)(after.mspan_inuse - before.mspan_inuse);
    CU_ASSERT(after.alloc <= after.heap_inuse);
    printf("%.2f bytes an object of 1 to 8\n", bytes / MANY);
    CU_ASSERT(bytes / MANY <= 0.9 * 8);
    for (unsigned i = 0; i < MANY; i++)
        goalloc_free(heap, many[i]);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

/* Single bytes: more of them than there are 8 bytes in their spans. */
static void single_bytes_counted(void)
{
    enum { MANY = 100000 };
    static void *many[MANY];
    for (unsigned i = 0; i < MANY; i++)
        many[i] = goalloc_alloc(heap, 1, 0, GOALLOC_NOSCAN);
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT_EQUAL(stats.heap_objects, MANY);
    CU_ASSERT(stats.alloc > 2 * MANY && stats.alloc <= stats.heap_inuse);
    for (unsigned i = 0; i < MANY; i++)
        goalloc_free(heap, many[i]);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* The heap full of tiny objects: ENOMEM, and all of it can be had again for something else. */
static void full_heap(void)
{
    void **list = NULL; /* a word a link, noscan all the same: this is a test */
    uint64_t n = 0;
    errno = 0;
    for (void **p; (p = goalloc_alloc(heap, 8, 0, GOALLOC_NOSCAN)) != NULL; n++) {
        *p = (void *)list;
        list = p;
    }
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT(n > UINT64_C(63) * 1024 * 1024 / 8 && n < UINT64_C(64) * 1024 * 1024 / 8);
    while (list) {
        void **next = *list;
        goalloc_free(heap, (void *)list);
        list = next;
    }
    void *large = goalloc_malloc(heap, 60 << 20);
    CU_ASSERT_PTR_NOT_NULL(large);
    goalloc_free(heap, large);
    CU_ASSERT_EQUAL(nreports, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"mixed sizes", mixed_sizes},
        {"explicit alignments", explicit_alignments},
        {"sixteen bytes", sixteen_bytes},
        {"other processes", other_processes},
        {"threads exchange", threads_exchange},
        {"memory of small ones", memory_of_small_ones},
        {"single bytes counted", single_bytes_counted},
        {"full heap", full_heap},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    random_state = ga_test_seed();
    heap = attach();
    if (!heap)
        return 2;
    int failed = ga_test_main("integration.tiny", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? failed : 2;
}
