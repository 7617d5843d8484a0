/* memstats over a real server: the identities among its fields, by_size against what was done, the
 * process's own share, and that a killed process leaves counts and bitmaps in agreement. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "shm/mapping.h"
#include "shm/recount.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define MANY 3000

static struct ga_test_server server;
static struct goalloc_heap *heap;

static void check_identities(const struct goalloc_memstats *s)
{
    uint64_t mallocs = 0;
    uint64_t frees = 0;
    uint64_t own_mallocs = 0;
    uint64_t own_frees = 0;
    for (int c = 0; c < GOALLOC_SIZE_CLASS_COUNT; c++) {
        mallocs += s->by_size[c].mallocs;
        frees += s->by_size[c].frees;
        own_mallocs += s->own_by_size[c].mallocs;
        own_frees += s->own_by_size[c].frees;
        CU_ASSERT(s->own_by_size[c].mallocs <= s->by_size[c].mallocs);
        CU_ASSERT_EQUAL(s->own_by_size[c].size, ga_size_classes[c].size);
        CU_ASSERT_EQUAL(s->by_size[c].size, ga_size_classes[c].size);
    }
    CU_ASSERT(s->mallocs == mallocs && s->frees == frees);
    CU_ASSERT(s->own_mallocs == own_mallocs && s->own_frees == own_frees);
    CU_ASSERT(s->own_total_alloc <= s->total_alloc);
    CU_ASSERT_EQUAL(s->heap_alloc, s->alloc);
    CU_ASSERT_EQUAL(s->heap_sys, s->heap_idle + s->heap_inuse);
    CU_ASSERT_EQUAL(s->sys, s->heap_sys + s->mspan_sys + s->mcache_sys + s->other_sys);
    CU_ASSERT(s->mspan_inuse <= s->mspan_sys && s->mcache_inuse <= s->mcache_sys);
    CU_ASSERT(s->heap_released <= s->heap_idle && s->total_alloc >= s->alloc);
    CU_ASSERT(s->leased_spans <= s->spans && s->leased_bytes <= s->heap_inuse);
    CU_ASSERT(s->own_leased_spans <= s->leased_spans && s->own_leased_bytes <= s->leased_bytes);
}

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    check_identities(&stats);
    return stats;
}

/* At rest: the counts, the identities that hold only then, and a recount of the bitmaps. */
static struct goalloc_memstats stats_at_rest(void)
{
    struct goalloc_memstats s = stats_now();
    CU_ASSERT_EQUAL(s.heap_objects, s.mallocs - s.frees);
    CU_ASSERT(s.alloc <= s.heap_inuse);

    struct ga_mapping meta = GA_MAPPING_NONE;
    struct ga_mapping bits = GA_MAPPING_NONE;
    int r = ga_mapping_open(server.heap_name, GA_OBJECT_META, true, -1, 0, 0, &meta);
    CU_ASSERT_EQUAL_FATAL(r, 0);
    CU_ASSERT_EQUAL_FATAL(ga_mapping_open(server.heap_name, GA_OBJECT_BITS, true, -1, 0, 0, &bits),
                          0);
    struct ga_view view = ga_view_of(meta.address, bits.address);
    struct ga_recount count = {0};
    uint64_t bad_page;
    CU_ASSERT_EQUAL(ga_recount(&view, &count, &bad_page), 0);
    CU_ASSERT(count.objects == s.heap_objects && count.alloc_bytes == s.alloc);
    CU_ASSERT(count.spans == s.spans && count.inuse_npages * GA_PAGE_SIZE == s.heap_inuse);
    for (int c = 0; c < GOALLOC_SIZE_CLASS_COUNT; c++)
        CU_ASSERT_EQUAL(count.objects_by_class[c], s.by_size[c].mallocs - s.by_size[c].frees);
    ga_mapping_close(&bits);
    ga_mapping_close(&meta);
    return s;
}

static void counts_of_what_was_done(void)
{
    struct goalloc_memstats before = stats_at_rest();
    uint32_t class = ga_size_class_for_malloc(1000);
    void *small[MANY];
    for (int i = 0; i < MANY; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(small[i] = goalloc_malloc(heap, 1000));
    void *large = goalloc_malloc(heap, 100000);
    CU_ASSERT_PTR_NOT_NULL(large);
    struct goalloc_memstats full = stats_at_rest();
    CU_ASSERT_EQUAL(full.by_size[class].mallocs - before.by_size[class].mallocs, MANY);
    CU_ASSERT_EQUAL(full.by_size[0].mallocs - before.by_size[0].mallocs, 1);
    CU_ASSERT_EQUAL(full.alloc - before.alloc,
                    (uint64_t)MANY * ga_size_classes[class].size + 13 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(full.total_alloc - before.total_alloc, full.alloc - before.alloc);

    CU_ASSERT(full.own_mallocs == MANY + 1 && full.own_frees == 0 && full.own_mcaches == 1);
    CU_ASSERT(full.own_by_size[class].mallocs == MANY && full.own_by_size[0].mallocs == 1);
    CU_ASSERT(full.own_total_alloc == full.alloc - before.alloc && full.own_total_free == 0);
    CU_ASSERT(full.own_leased_spans > 0 && full.own_leased_spans == full.leased_spans);
    CU_ASSERT_EQUAL(full.own_leased_bytes, full.leased_bytes);
    CU_ASSERT(full.mcache_inuse > before.mcache_inuse && full.mspan_inuse > before.mspan_inuse);

    for (int i = 0; i < MANY; i++)
        goalloc_free(heap, small[i]);
    goalloc_free(heap, large);
    struct goalloc_memstats after = stats_at_rest();
    CU_ASSERT_EQUAL(after.alloc, before.alloc);
    CU_ASSERT_EQUAL(after.total_alloc, full.total_alloc);
    CU_ASSERT(after.own_mallocs == MANY + 1 && after.own_frees == MANY + 1);
    CU_ASSERT(after.own_by_size[class].frees == MANY && after.own_by_size[0].frees == 1);
    CU_ASSERT_EQUAL(after.own_total_free, after.own_total_alloc);
    CU_ASSERT_EQUAL(after.frees - before.frees, MANY + 1);
}

/* Tiny objects of a byte, which take less than the 8 that each counts as, beside others of the
 * class that they count with. */
static void tiny_objects(void)
{
    struct goalloc_memstats before = stats_at_rest();
    static void *tiny[10 * MANY];
    for (int i = 0; i < 10 * MANY; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(tiny[i] = goalloc_alloc(heap, 1, 0, GOALLOC_NOSCAN));
    struct goalloc_memstats full = stats_at_rest();
    CU_ASSERT_EQUAL(full.heap_objects - before.heap_objects, 10 * MANY);
    CU_ASSERT_EQUAL(full.by_size[1].mallocs - before.by_size[1].mallocs, 10 * MANY);
    CU_ASSERT_EQUAL(full.total_alloc - before.total_alloc, 8 * 10 * MANY);
    CU_ASSERT(full.alloc > before.alloc && full.alloc - before.alloc < 8 * 10 * MANY);
    void *other = goalloc_malloc(heap, 8);
    CU_ASSERT_PTR_NOT_NULL(other);
    stats_at_rest();
    for (int i = 0; i < 10 * MANY; i++)
        goalloc_free(heap, tiny[i]);
    struct goalloc_memstats after = stats_at_rest();
    CU_ASSERT_EQUAL(after.alloc, before.alloc + 8);
    goalloc_free(heap, other);
}

/* In a child: objects of a few sizes, told to the parent, then rest until it is killed. */
static void allocate_and_wait(int told)
{
    struct goalloc_heap *mine = NULL;
    bool good = goalloc_attach(server.socket, NULL, &mine) == 0;
    for (size_t i = 0; good && i < MANY; i++)
        good = goalloc_malloc(mine, 16 + i % 2000) != NULL;
    good = good && goalloc_malloc(mine, 200000);
    if (write(told, good ? "+" : "-", 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static void others_and_their_death(void)
{
    struct goalloc_memstats before = stats_at_rest();
    int told[2];
    CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
    goalloc_detach(heap); /* the child attaches as a process of its own */
    heap = NULL;
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0)
        allocate_and_wait(told[1]);
    close(told[1]);
    char answer = '-';
    CU_ASSERT_EQUAL(read(told[0], &answer, 1), 1);
    CU_ASSERT_EQUAL(answer, '+');
    close(told[0]);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
    struct goalloc_memstats both = stats_at_rest();
    CU_ASSERT_EQUAL(both.mallocs - before.mallocs, MANY + 1);
    CU_ASSERT(both.own_total_alloc == 0 && both.own_total_free == 0);
    CU_ASSERT(both.own_mallocs == 0 && both.own_mcaches == 0 && both.own_leased_spans == 0);
    CU_ASSERT(both.leased_spans > 0);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct goalloc_memstats after = stats_now();
    for (int i = 0; i < 5000 && after.leased_spans > 0; i++) { /* until the server knows */
        usleep(1000);
        after = stats_now();
    }
    CU_ASSERT_EQUAL(after.leased_spans, 0);
    after = stats_at_rest();
    CU_ASSERT(after.heap_objects == both.heap_objects && after.alloc == both.alloc);
}

static void refusals(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats) - 1, .alloc = 7};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), -EINVAL);
    CU_ASSERT_EQUAL(stats.alloc, 7);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"counts of what was done", counts_of_what_was_done},
        {"tiny objects", tiny_objects},
        {"others and their death", others_and_their_death},
        {"refusals", refusals},
    };
    setenv("GOALLOC_PROFILE_RATE", "0", 1); /* a tiny object that is sampled is of another class */
    if (!ga_test_server_start("256M", &server))
        return 1;
    if (goalloc_attach(server.socket, NULL, &heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 1;
    }
    int code = ga_test_main("integration.memstats", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    if (!ga_test_server_stop(&server)) {
        fprintf(stderr, "the server left something behind, or did not end with 0\n");
        return 1;
    }
    return code;
}
