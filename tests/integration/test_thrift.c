/* How much more than its objects need the heap gets: spans leased ahead of use, those that a thread
 * has outgrown, what describes the heap; and what a client costs. */
#include <stdio.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define LIMIT "256M"
#define MIB   (UINT64_C(1) << 20)
#define MANY  (24 * MIB / 64)

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *objects[MANY];

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

static void get(uint64_t bytes, size_t size)
{
    for (uint64_t i = 0; i < bytes / size; i++) {
        objects[i] = goalloc_malloc(heap, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
}

static void put(uint64_t bytes, size_t size)
{
    for (uint64_t i = 0; i < bytes / size; i++)
        goalloc_free(heap, objects[i]);
}

/* However fast spans are used up, no more than a part of what a class has is leased ahead: a batch
 * that has not been begun, and one that was asked for when half of it was left. */
static void leased_ahead(void)
{
    const uint64_t bytes = MIB / 2;
    get(bytes, 1024);
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT(stats.own_leased_bytes < bytes + bytes * 3 / 8);
    CU_ASSERT(stats.heap_sys < bytes + bytes * 3 / 8 + MIB / 4);
    put(bytes, 1024);
}

/* What a class has outgrown is used for others before the heap grows much. */
static void outgrown(void)
{
    get(24 * MIB, 64);
    put(24 * MIB, 64);
    get(24 * MIB, 1024);
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT(stats.heap_sys < 34 * MIB);
    put(24 * MIB, 1024);
}

/* As long as the heap does not grow nothing is given back that may be used again. */
static void used_in_turns(void)
{
    get(12 * MIB, 64);
    put(12 * MIB, 64);
    uint64_t kept = stats_now().own_leased_spans;
    for (int i = 0; i < 10; i++) {
        get(12 * MIB, 64);
        put(12 * MIB, 64);
        get(MIB, 128);
        put(MIB, 128);
    }
    CU_ASSERT(stats_now().own_leased_spans >= kept);
}

/* The free slots of spans that are nearly full are found again after the thread has given up what
 * it knew of them, for want of memory. */
static void known_no_more(void)
{
    const uint64_t bytes = MIB;
    static char *before[MIB / 1024 / 32];
    get(bytes, 1024);
    for (uint64_t i = 0; i < bytes / 1024; i += 32) {
        before[i / 32] = objects[i];
        goalloc_free(heap, objects[i]);
    }
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 1024 * MIB));
    uint64_t found = 0;
    for (uint64_t i = 0; i < bytes / 1024; i += 32) {
        char *p = goalloc_malloc(heap, 1024);
        for (uint64_t j = 0; j < bytes / 1024; j += 32)
            found += p == before[j / 32];
        objects[i] = p;
    }
    CU_ASSERT_EQUAL(found, bytes / 1024 / 32);
    put(bytes, 1024);
}

static void *put_all(void *data)
{
    put(*(const uint64_t *)data, 1024);
    return NULL;
}

/* What others have freed is found again, of the first spans of a class as of the last. */
static void freed_by_another(void)
{
    uint64_t bytes = 48 * UINT64_C(8192);
    pthread_t other;
    get(bytes, 1024);
    uint64_t spans = stats_now().own_leased_spans;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, put_all, &bytes), 0);
    pthread_join(other, NULL);
    get(bytes, 1024);
    CU_ASSERT(stats_now().own_leased_spans <= spans + 10);
    put(bytes, 1024);
}

/* What a client costs that has allocated in four classes: a mcache, and the spans it has too much.
 */
static void four_classes(void)
{
    static const size_t sizes[] = {24, 64, 200, 1000};
    struct goalloc_memstats before = stats_now();
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i] = goalloc_malloc(heap, sizes[i]));
    struct goalloc_memstats after = stats_now();
    uint64_t metadata = after.mspan_inuse + after.mcache_inuse + after.other_sys -
                        before.mspan_inuse - before.mcache_inuse - before.other_sys;
    CU_ASSERT_EQUAL(after.own_mcaches, 1);
    CU_ASSERT(after.mcache_inuse > before.mcache_inuse);
    CU_ASSERT(after.own_leased_bytes >= 4 * 8192);
    printf("%.1f KiB ", (double)(metadata + after.own_leased_bytes) / 1024);
    CU_ASSERT(metadata + after.own_leased_bytes <= 256 * 1024);
    for (size_t i = 0; i < 4; i++)
        goalloc_free(heap, objects[i]);
}

/* The heap full of 64-byte objects: what is neither theirs nor free for others. */
static void metadata(void)
{
    uint64_t count = 0;
    while (goalloc_malloc(heap, 64))
        count++;
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT_EQUAL(stats.heap_objects, count);
    CU_ASSERT(stats.alloc > 255 * MIB);
    double share = (double)(stats.sys - stats.heap_sys) / (double)stats.alloc;
    printf("%.2f %% ", share * 100);
    CU_ASSERT(share > 0.005 && share <= 0.03);
}

/* Each with a heap of its own. */
static const struct ga_test tests[] = {
    {"leased ahead", leased_ahead},
    {"outgrown", outgrown},
    {"used in turns", used_in_turns},
    {"known no more", known_no_more},
    {"freed by another", freed_by_another},
    {"four classes", four_classes},
    {"metadata", metadata},
};

static int run(const struct ga_test *test)
{
    if (!ga_test_server_start(LIMIT, &server))
        return 1;
    if (goalloc_attach(server.socket, NULL, &heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 1;
    }
    int code = ga_test_main("integration.thrift", test, 1);
    goalloc_detach(heap);
    if (!ga_test_server_stop(&server)) {
        fprintf(stderr, "the server left something behind, or did not end with 0\n");
        return 1;
    }
    return code;
}

int main(void)
{
    int code = 0;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        code |= run(&tests[i]);
    return code;
}
