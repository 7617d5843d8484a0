/* Limits that change while the heap is in use: what is asked for from then on meets the new ones,
 * nobody loses what he has, and what the next server would not take over is refused. */
#include "support/core_fixture.h"

#include <errno.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define MIB      (UINT64_C(1) << 20)
#define USER     1000u

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id mcache;

static void open_heap(uint64_t limit_bytes)
{
    ga_core_open(&core, GA_ARENA_SIZE, limit_bytes);
    CU_ASSERT_EQUAL_FATAL(ga_heap_attach(core.heap, 100, USER, USER, 3, "client", &client), 0);
    mcache = ga_core_mcache(&core, client);
}

static void close_heap(void)
{
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));
    ga_core_close(&core);
}

/* Of a large object of so many MiB. */
static int take(uint64_t mib)
{
    ga_page_id page;
    bool zeroed;
    return ga_core_large_alloc(&core, client, mcache, mib * MIB, true, &page, &zeroed);
}

static int set_limit(uint64_t bytes)
{
    const struct ga_heap_limits limits = {.limit_bytes = bytes};
    return ga_heap_set_limits(core.heap, &limits);
}

static uint64_t shown_limit(void)
{
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.heap->meta->limit_bytes), status.limit_bytes);
    return status.limit_bytes;
}

static void raised_and_lowered(void)
{
    open_heap(8 * MIB);
    CU_ASSERT_EQUAL(take(4), 0);
    CU_ASSERT_EQUAL(take(6), -ENOMEM);
    CU_ASSERT_EQUAL(set_limit(16 * MIB), 0);
    CU_ASSERT_EQUAL(shown_limit(), 16 * MIB);
    CU_ASSERT_EQUAL(take(6), 0);
    CU_ASSERT_EQUAL(set_limit(11 * MIB), 0);
    CU_ASSERT_EQUAL(take(1), -ENOMEM);
    CU_ASSERT_EQUAL(set_limit(0), 0); /* as much as the reserve */
    CU_ASSERT_EQUAL(shown_limit(), GA_ARENA_SIZE);
    CU_ASSERT_EQUAL(take(1), 0);
    close_heap();
}

/* To the byte: with the least that is taken the next server takes the heap over. */
static void never_below_what_is_in_use(void)
{
    char why[GA_ADOPT_WHY_BYTES] = "";
    open_heap(16 * MIB);
    CU_ASSERT_EQUAL(take(4), 0);
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    uint64_t least = status.inuse_bytes + GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(set_limit(least - GA_PAGE_SIZE), -EBUSY);
    CU_ASSERT_EQUAL(shown_limit(), 16 * MIB);
    CU_ASSERT_EQUAL(set_limit(least), 0);
    core.config.limit_bytes = least;
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_STRING_EQUAL(why, "");
    CU_ASSERT_EQUAL(shown_limit(), least);
    close_heap();
}

static void what_cannot_be(void)
{
    open_heap(16 * MIB);
    CU_ASSERT_EQUAL(set_limit(2 * GA_ARENA_SIZE), -EINVAL);
    CU_ASSERT_EQUAL(set_limit(8 * MIB + 1), -EINVAL);
    CU_ASSERT_EQUAL(shown_limit(), 16 * MIB);
    close_heap();
}

/* A refused limit changes none of the others. */
static void quotas_and_the_soft_limit(void)
{
    struct ga_heap_limits limits = {.limit_bytes = 16 * MIB, .soft_limit_bytes = 4 * MIB};
    limits.user_quota.of[GA_QUOTA_SPANS] = 1;
    open_heap(16 * MIB);
    CU_ASSERT_EQUAL(take(1), 0);
    CU_ASSERT_EQUAL(ga_heap_set_limits(core.heap, &limits), 0);
    CU_ASSERT_EQUAL(core.heap->scavenge.soft_limit_bytes, 4 * MIB);
    CU_ASSERT_EQUAL(take(1), -EDQUOT);
    limits.user_quota.of[GA_QUOTA_SPANS] = 5;
    limits.limit_bytes = GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(ga_heap_set_limits(core.heap, &limits), -EBUSY);
    CU_ASSERT_EQUAL(take(1), -EDQUOT);
    limits.limit_bytes = 0;
    CU_ASSERT_EQUAL(ga_heap_set_limits(core.heap, &limits), 0);
    CU_ASSERT_EQUAL(take(1), 0);
    limits.client_quota.of[GA_QUOTA_SPANS] = 2;
    CU_ASSERT_EQUAL(ga_heap_set_limits(core.heap, &limits), 0);
    CU_ASSERT_EQUAL(take(1), -EDQUOT);
    close_heap();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"raised and lowered", raised_and_lowered},
        {"never below what is in use", never_below_what_is_in_use},
        {"what cannot be", what_cannot_be},
        {"quotas and the soft limit", quotas_and_the_soft_limit},
    };
    return ga_test_main("server.limits", tests, COUNT(tests));
}
