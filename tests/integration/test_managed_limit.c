/* A managed program that only allocates goes on for ever within its limit, and its heap grows no
 * more than it must. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goalloc/goalloc.h"
#include "integration/managed_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define LIMIT    "64M"

/* ---- for ever ---- */

/* Allocates many times what the heap may have, keeps a little, and frees nothing. */
static void within_the_limit(void)
{
    managed_open(LIMIT);
    const uint64_t total = (getenv("GOALLOC_LONG") ? UINT64_C(100) : UINT64_C(4)) << 30;
    static struct managed_node *kept[512];
    uint64_t random = ga_test_seed();
    uint64_t wrong = 0;
    uint64_t failed = 0;
    for (uint64_t bytes = 0, i = 0; bytes < total && failed == 0; i++) {
        uint64_t r = ga_test_random(&random);
        size_t size = sizeof(struct managed_node) + (r % 64 ? r / 64 % 500 : r / 64 % 200000);
        struct managed_node *node = goalloc_malloc(managed_heap, size);
        if (!node) {
            failed++;
            break;
        }
        struct managed_node **place = &kept[r >> 32 & 511];
        wrong += *place && (*place)->number != (uint64_t)(place - kept);
        node->number = (uint64_t)(place - kept);
        node->next = NULL;
        *place = node;
        bytes += size;
    }
    CU_ASSERT_EQUAL(failed, 0);
    CU_ASSERT_EQUAL(wrong, 0);
    memset(kept, 0, sizeof(kept));
    managed_close();
}

/* ---- large objects ---- */

#define LARGE_BYTES (UINT64_C(16) << 20)
#define NLARGE      60u

static uint64_t extent(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(managed_heap, &stats), 0);
    return stats.heap_sys;
}

static uint64_t cycles(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(managed_heap, &stats), 0);
    return stats.num_gc;
}

/* A collection comes before the heap grows: of objects that replace one another there are two. */
static void large_objects_replaced(void)
{
    static char *kept;
    managed_open("2G");
    for (unsigned i = 0; i < NLARGE; i++) {
        kept = goalloc_malloc(managed_heap, LARGE_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
        memset(kept, (int)i, 100);
    }
    printf("%lu MiB of heap ", extent() >> 20);
    CU_ASSERT(extent() < 2 * LARGE_BYTES + LARGE_BYTES / 2);
    kept = NULL;
    managed_close();
}

/* Where all are kept it comes no more often than what there is doubles. */
static void large_objects_kept(void)
{
    static char *all[NLARGE];
    managed_open("2G");
    for (unsigned i = 0; i < NLARGE; i++) {
        all[i] = goalloc_malloc(managed_heap, LARGE_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(all[i]);
    }
    printf("%lu collections ", cycles());
    CU_ASSERT(cycles() <= 8);
    memset(all, 0, sizeof(all));
    managed_close();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"within the limit", within_the_limit},
        {"large objects, replaced", large_objects_replaced},
        {"large objects, kept", large_objects_kept},
    };
    return ga_test_main("integration.managed_limit", tests, COUNT(tests));
}
