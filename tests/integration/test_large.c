/* Large objects of a megabyte at most: their spans are kept when they are freed, by whomever, and
 * used again without a word to the server; within bounds, and given back when memory is short. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static struct ga_test_server server;
static struct goalloc_heap *heap;

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

/* Nothing is live, in numbers too. */
static void check_empty(void)
{
    struct goalloc_memstats s = stats_now();
    CU_ASSERT(s.heap_objects == 0 && s.alloc == 0 && s.mallocs == s.frees);
}

/* Allocate n objects of these sizes, fill them, check them and free them. */
static void live_through(const size_t *sizes, size_t n)
{
    unsigned char *objects[8];
    for (size_t i = 0; i < n; i++) {
        objects[i] = goalloc_malloc(heap, sizes[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        CU_ASSERT(goalloc_usable_size(heap, objects[i]) >= sizes[i]);
        memset(objects[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT(objects[i][0] == i && objects[i][sizes[i] - 1] == i);
        goalloc_free(heap, objects[i]);
    }
}

/* A server that does nothing is not missed: it is stopped meanwhile. */
static void reused_without_the_server(void)
{
    static const size_t sizes[] = {33 * KIB, 64 * KIB, 100 * KIB, 300 * KIB, 1 * MIB};
    static const size_t less[] = {33 * KIB, 60 * KIB, 100 * KIB, 280 * KIB, 900 * KIB};
    size_t n = sizeof(sizes) / sizeof(sizes[0]);
    live_through(sizes, n);
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGSTOP), 0);
    for (int round = 0; round < 200; round++)
        live_through(round % 2 ? sizes : less, n);
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGCONT), 0);
    check_empty();
}

/* What is kept for a large request is not wasted on one of half its size. */
static void fits_closely(void)
{
    char *p = goalloc_malloc(heap, 1 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    goalloc_free(heap, p);
    char *half = goalloc_malloc(heap, 512 * KIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(half);
    CU_ASSERT(goalloc_usable_size(heap, half) <= 512 * KIB * 5 / 4);
    goalloc_free(heap, half);
    check_empty();
}

static void *free_objects(void *objects)
{
    void **given = objects;
    for (; *given; given++)
        goalloc_free(heap, *given);
    return NULL;
}

/* What another thread frees comes back to who allocated it. */
static void freed_by_another(void)
{
    void *objects[9] = {NULL};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            objects[i] = goalloc_alloc(heap, 200 * KIB, 0, i % 2 ? GOALLOC_NOSCAN : 0);
            CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        }
        if (round > 0)
            CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGCONT), 0);
        pthread_t other;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, free_objects, objects), 0);
        pthread_join(other, NULL);
        CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGSTOP), 0);
    }
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGCONT), 0);
    check_empty();
}

/* Memory freed is not known to be zero, wherever it is kept. */
static void cleared_again(void)
{
    for (int round = 0; round < 4; round++) {
        unsigned char *p = goalloc_calloc(heap, 1, 500 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        size_t wrong = 0;
        for (size_t i = 0; i < 500 * KIB; i++)
            wrong += p[i] != 0;
        CU_ASSERT_EQUAL(wrong, 0);
        memset(p, 0xff, 500 * KIB);
        goalloc_free(heap, p);
    }
}

/* However much is freed at once, little of it is kept. */
static void kept_within_bounds(void)
{
    char *objects[60];
    for (size_t i = 0; i < 60; i++) {
        objects[i] = goalloc_malloc(heap, 700 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
    CU_ASSERT(stats_now().own_leased_bytes >= 60 * 700 * KIB);
    for (size_t i = 0; i < 60; i++)
        goalloc_free(heap, objects[i]);
    struct goalloc_memstats s = stats_now();
    CU_ASSERT(s.own_leased_bytes >= 1 * MIB && s.own_leased_bytes <= 17 * MIB);
    for (size_t i = 0; i < 60; i++) {
        objects[i] = goalloc_malloc(heap, 40 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
    for (size_t i = 0; i < 60; i++)
        goalloc_free(heap, objects[i]);
    CU_ASSERT(stats_now().own_leased_spans <= 40);
    check_empty();
}

/* It grows and shrinks where it lies, leased or not, and is counted as it is. */
static void resized(void)
{
    for (int round = 0; round < 3; round++) {
        char *p = goalloc_malloc(heap, 40 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        memset(p, 'x', 40 * KIB);
        for (size_t bytes = 80 * KIB; bytes <= 6 * MIB; bytes = bytes * 3 / 2) {
            p = goalloc_realloc(heap, p, bytes);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT(p[0] == 'x' && p[40 * KIB - 1] == 'x');
            CU_ASSERT(goalloc_usable_size(heap, p) >= bytes);
            memset(p, 'x', bytes);
            CU_ASSERT_EQUAL(stats_now().alloc, goalloc_usable_size(heap, p));
        }
        p = goalloc_realloc(heap, p, 50 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(stats_now().alloc, goalloc_usable_size(heap, p));
        CU_ASSERT(p[0] == 'x' && p[50 * KIB - 1] == 'x');
        goalloc_free(heap, p);
        check_empty();
    }
}

/* A vector of 16 bytes, doubled up to bytes, where its contents are looked at. Returns it, having
 * counted how often it moved while it was large. */
static unsigned char *doubled_to(size_t bytes, unsigned *moves)
{
    size_t size = 16;
    unsigned char *p = goalloc_malloc(heap, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 1, size);
    for (; size < bytes; size *= 2) {
        unsigned char *grown = goalloc_realloc(heap, p, size * 2);
        CU_ASSERT_PTR_NOT_NULL_FATAL(grown);
        *moves += grown != p && size > 32 * KIB;
        p = grown;
        size_t wrong = 0;
        for (size_t i = 0; i < size; i++)
            wrong += p[i] != 1;
        CU_ASSERT_EQUAL(wrong, 0);
        memset(p + size, 1, size);
    }
    return p;
}

/* Where a span is kept that is long enough in the end, it is taken at once, and nobody is asked. */
static void grows_in_what_was_kept(void)
{
    unsigned moves = 0;
    goalloc_free(heap, doubled_to(1 * MIB, &moves));
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGSTOP), 0);
    moves = 0;
    for (int round = 0; round < 20; round++)
        goalloc_free(heap, doubled_to(1 * MIB, &moves));
    CU_ASSERT_EQUAL(moves, 0);
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGCONT), 0);
    check_empty();
}

/* Keep n spans of 1 MiB. */
static void keep_long_spans(size_t n)
{
    void *objects[16];
    for (size_t i = 0; i < n; i++)
        objects[i] = goalloc_malloc(heap, 1 * MIB);
    for (size_t i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
}

/* Vectors that stop growing early do not take all that is kept: 4 MiB to spare, in all of them, and
 * the others are no longer than others are. Freed, they make room for the next. */
static void little_to_spare(void)
{
    for (int round = 0; round < 10; round++) {
        char *grown[12];
        size_t usable = 0;
        keep_long_spans(12);
        for (size_t i = 0; i < 12; i++) {
            grown[i] = goalloc_realloc(heap, goalloc_malloc(heap, 30 * KIB), 64 * KIB);
            CU_ASSERT_PTR_NOT_NULL_FATAL(grown[i]);
            usable += goalloc_usable_size(heap, grown[i]);
        }
        CU_ASSERT(usable >= 4 * MIB && usable <= 12 * 80 * KIB + 4 * MIB);
        for (size_t i = 0; i < 12; i++)
            goalloc_free(heap, grown[i]);
        check_empty();
    }
}

/* Make an object of 100 KiB longer than its old slot, in a span of 1 MiB that was kept. */
static char *grown_with_room(void)
{
    keep_long_spans(1);
    char *p = goalloc_realloc(heap, goalloc_malloc(heap, 30 * KIB), 100 * KIB);
    CU_ASSERT_EQUAL_FATAL(goalloc_usable_size(heap, p), 1 * MIB);
    memset(p, 'x', 100 * KIB);
    return p;
}

/* Realloc, and check that the first bytes of it, all c, are still there. */
static char *resize(char *p, size_t size, size_t bytes, char c)
{
    char *resized = goalloc_realloc(heap, p, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(resized);
    CU_ASSERT(goalloc_usable_size(heap, resized) >= size);
    CU_ASSERT(resized[0] == c && resized[bytes - 1] == c);
    return resized;
}

/* One that has grown into its span, and becomes shorter, gives the rest back. */
static void shrinks_where_there_is_room(void)
{
    char *p = resize(grown_with_room(), 900 * KIB, 100 * KIB, 'x');
    memset(p, 'y', 900 * KIB);
    CU_ASSERT_EQUAL(stats_now().alloc, 1 * MIB);
    p = resize(p, 200 * KIB, 200 * KIB, 'y');
    CU_ASSERT(goalloc_usable_size(heap, p) <= 250 * KIB);
    CU_ASSERT_EQUAL(stats_now().alloc, goalloc_usable_size(heap, p));
    p = resize(p, 20 * KIB, 20 * KIB, 'y');
    CU_ASSERT(goalloc_usable_size(heap, p) < 30 * KIB);
    goalloc_free(heap, p);
    check_empty();
}

/* One that has grown to be large, and becomes a small one again, leaves its span to others. */
static void shrinks_to_a_small_one(void)
{
    keep_long_spans(1);
    char *p = goalloc_realloc(heap, goalloc_malloc(heap, 3 * KIB), 5 * KIB);
    CU_ASSERT_EQUAL_FATAL(goalloc_usable_size(heap, p), 1 * MIB);
    memset(p, 'x', 5 * KIB);
    p = resize(p, 7 * KIB, 5 * KIB, 'x');
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p), 1 * MIB);
    p = resize(p, 100, 100, 'x');
    CU_ASSERT(goalloc_usable_size(heap, p) < 200);
    goalloc_free(heap, p);
    check_empty();
}

/* What is kept, or has room, is not long enough for a size that is beyond all, be it that its pages
 * cannot be counted. */
static void too_long_to_grow_to(void)
{
    char *small = goalloc_malloc(heap, 30 * KIB);
    char *with_room = grown_with_room();
    keep_long_spans(2);
    for (size_t less = 0; less < 32 * KIB; less += 512) {
        volatile size_t size = SIZE_MAX - less;
        errno = 0;
        CU_ASSERT_PTR_NULL(goalloc_realloc(heap, small, size));
        CU_ASSERT_PTR_NULL(goalloc_realloc(heap, with_room, size));
        CU_ASSERT_EQUAL(errno, ENOMEM);
    }
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, with_room), 1 * MIB);
    CU_ASSERT(with_room[0] == 'x' && with_room[100 * KIB - 1] == 'x');
    goalloc_free(heap, small);
    goalloc_free(heap, with_room);
    check_empty();
}

static void *grow_to_700_kib(void *p)
{
    p = resize(p, 700 * KIB, 100 * KIB, 'x');
    return memset(p, 'y', 700 * KIB);
}

/* To another thread the object is as long as its span: it may use all of that, and who has put it
 * there leaves it. */
static void grown_by_another(void)
{
    char *p = grown_with_room();
    pthread_t other;
    void *grown;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, grow_to_700_kib, p), 0);
    pthread_join(other, &grown);
    p = resize(grown, 600 * KIB, 600 * KIB, 'y');
    goalloc_free(heap, p);
    check_empty();
}

/* What is kept is given back before anybody is told that there is no memory. */
static void given_back_when_short(void)
{
    char *objects[64];
    size_t n = 0;
    while (n < 64 && (objects[n] = goalloc_malloc(heap, 1 * MIB)) != NULL)
        n++;
    CU_ASSERT(n > 50 && n < 64);
    for (size_t i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
    char *p = goalloc_malloc(heap, 60 * MIB);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    check_empty();
}

static bool is_all(const char *p, size_t bytes, char value)
{
    return p[0] == value && memcmp(p, p + 1, bytes - 1) == 0;
}

/* An arena is 64 MiB. In a heap that has room for it: the object grows over another boundary where
 * it lies, and its pages are one run again when it is freed. */
static void larger_than_an_arena(void)
{
    struct ga_test_server roomy;
    struct goalloc_heap *other;
    CU_ASSERT_FATAL(ga_test_server_start("256M", &roomy));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(roomy.socket, NULL, &other), 0);
    char *p = goalloc_calloc(other, 1, 70 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(is_all(p, 70 * MIB, 0));
    memset(p, 'x', 70 * MIB);
    char *longer = goalloc_realloc(other, p, 140 * MIB);
    CU_ASSERT_PTR_EQUAL_FATAL(longer, p);
    CU_ASSERT_EQUAL(goalloc_usable_size(other, longer), 140 * MIB);
    memset(longer + 70 * MIB, 'y', 70 * MIB);
    CU_ASSERT(is_all(longer, 70 * MIB, 'x'));
    char *shorter = goalloc_realloc(other, longer, 65 * MIB);
    CU_ASSERT_PTR_EQUAL(shorter, longer);
    CU_ASSERT_PTR_NULL(goalloc_malloc(other, 200 * MIB));
    goalloc_free(other, shorter);
    p = goalloc_malloc(other, 200 * MIB);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(other, p);
    struct goalloc_memstats s = {.size = sizeof(s)};
    CU_ASSERT_EQUAL(goalloc_memstats(other, &s), 0);
    CU_ASSERT(s.heap_objects == 0 && s.alloc == 0 && s.heap_inuse == 0);
    goalloc_detach(other);
    CU_ASSERT(ga_test_server_stop(&roomy));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"reused without the server", reused_without_the_server},
        {"fits closely", fits_closely},
        {"freed by another", freed_by_another},
        {"cleared again", cleared_again},
        {"kept within bounds", kept_within_bounds},
        {"resized", resized},
        {"grows in what was kept", grows_in_what_was_kept},
        {"little to spare", little_to_spare},
        {"shrinks where there is room", shrinks_where_there_is_room},
        {"shrinks to a small one", shrinks_to_a_small_one},
        {"too long to grow to", too_long_to_grow_to},
        {"grown by another", grown_by_another},
        {"given back when short", given_back_when_short},
        {"larger than an arena", larger_than_an_arena},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    /* A request that waits for a stopped server fails soon. */
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 2000};
    if (goalloc_attach(server.socket, &options, &heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 2;
    }
    int r = ga_test_main("integration.large", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? r : 2;
}
