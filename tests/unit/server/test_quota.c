/* Quotas: each kind at its limit and below it again, by user and by client; who is charged with
 * what a client leaves; a heap that is taken over. The fixture's audit counts every charge anew. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20 /* spans of one page */
#define ALICE    1000u
#define BOB      2000u

static struct ga_core core;

static void open_core(enum ga_quota_kind kind, uint64_t of_user, uint64_t of_client)
{
    ga_core_init(&core, GA_ARENA_SIZE, 0);
    core.config.user_quota.of[kind] = of_user;
    core.config.client_quota.of[kind] = of_client;
    CU_ASSERT_EQUAL_FATAL(ga_core_make(&core), 0);
}

static void close_core(void)
{
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));
    ga_core_close(&core);
}

static int try_attach(uint32_t uid, ga_client_id *ret)
{
    return ga_heap_attach(core.heap, 100, uid, uid, 3, "client", ret);
}

static ga_client_id attach(uint32_t uid)
{
    ga_client_id client = UINT32_MAX;
    CU_ASSERT_EQUAL_FATAL(try_attach(uid, &client), 0);
    return client;
}

struct process {
    ga_client_id client;
    ga_mcache_id mcache;
};

static struct process start(uint32_t uid)
{
    struct process process = {.client = attach(uid)};
    process.mcache = ga_core_mcache(&core, process.client);
    return process;
}

static int lease(struct process process, uint32_t count, uint32_t *ret_count)
{
    ga_page_id pages[GA_LEASE_MAX];
    *ret_count = 0;
    return ga_heap_lease(core.heap, process.client, process.mcache, CLASS, count, pages, ret_count);
}

static uint64_t used(uint32_t uid, enum ga_quota_kind kind)
{
    struct ga_user_info user;
    for (uint32_t i = 0; ga_heap_next_user(core.heap, i, &user) == 0; i = user.index + 1)
        if (user.uid == uid)
            return user.used.of[kind];
    return 0;
}

/* A lease is cut to what the quota leaves, and refused when it leaves nothing. */
static void leased_spans(void)
{
    open_core(GA_QUOTA_SPANS, 5, 0);
    struct process one = start(ALICE);
    struct process two = start(ALICE);
    struct process other = start(BOB);
    uint32_t n;
    ga_page_id page = ga_core_lease(&core, one.client, one.mcache, CLASS);
    CU_ASSERT_EQUAL(lease(one, 3, &n), 0);
    CU_ASSERT_EQUAL(n, 3);
    CU_ASSERT_EQUAL(lease(two, 3, &n), 0);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(lease(two, 1, &n), -EDQUOT);
    CU_ASSERT_EQUAL(lease(one, 1, &n), -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, one.client, one.mcache, CLASS, 1), -EDQUOT);
    CU_ASSERT_EQUAL(core.nreclaims, 0); /* others have nothing to give back for it */
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 5);
    CU_ASSERT_EQUAL(lease(other, 5, &n), 0);
    CU_ASSERT_EQUAL(n, 5);

    CU_ASSERT_EQUAL(ga_core_return(&core, one.client, one.mcache, page), 0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 4);
    CU_ASSERT_EQUAL(lease(two, 1, &n), 0);
    close_core();
}

/* What a client leaves in use stays its user's until it is freed, and nobody else is leased it. */
static void left_behind(void)
{
    open_core(GA_QUOTA_SPANS, 1, 0);
    struct process one = start(ALICE);
    ga_page_id page = ga_core_lease(&core, one.client, one.mcache, CLASS);
    struct ga_slot slot;
    CU_ASSERT_FATAL(page != 0 && ga_core_claim(&core, one.mcache, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, one.mcache, CLASS, &slot), 0);
    ga_heap_client_gone(core.heap, one.client);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 1);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_CONNECTIONS), 0);

    struct process other = start(BOB);
    ga_page_id theirs = ga_core_lease(&core, other.client, other.mcache, CLASS);
    CU_ASSERT(theirs != 0 && theirs != page);
    struct process two = start(ALICE);
    struct process three = start(ALICE);
    CU_ASSERT_EQUAL(ga_core_lease(&core, two.client, two.mcache, CLASS), page); /* hers already */
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 1);
    uint32_t n;
    CU_ASSERT_EQUAL(lease(three, 1, &n), -EDQUOT);
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));

    ga_heap_client_gone(core.heap, two.client);
    CU_ASSERT(ga_core_free_other(&core, other.mcache, &slot));
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 0);
    CU_ASSERT_EQUAL(lease(three, 1, &n), 0);
    close_core();
}

/* Without quotas of memory, spans are anybody's, and charged to who has them. */
static void shared_without_quotas(void)
{
    open_core(GA_QUOTA_ROOTS, 1, 0);
    struct process one = start(ALICE);
    ga_page_id page = ga_core_lease(&core, one.client, one.mcache, CLASS);
    struct ga_slot slot;
    CU_ASSERT_FATAL(page != 0 && ga_core_claim(&core, one.mcache, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, one.mcache, CLASS, &slot), 0);
    ga_heap_client_gone(core.heap, one.client);
    struct process other = start(BOB);
    CU_ASSERT_EQUAL(ga_core_lease(&core, other.client, other.mcache, CLASS), page);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_BYTES), 0);
    CU_ASSERT_EQUAL(used(BOB, GA_QUOTA_BYTES), GA_PAGE_SIZE);
    close_core();
}

static void large_objects(void)
{
    open_core(GA_QUOTA_BYTES, 10 * GA_PAGE_SIZE, 8 * GA_PAGE_SIZE);
    struct process one = start(ALICE);
    struct process two = start(ALICE);
    ga_page_id page;
    ga_page_id more;
    bool zeroed;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, one.client, one.mcache, 9 * GA_PAGE_SIZE, true, &page, &zeroed),
        -EDQUOT);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, one.client, one.mcache, 6 * GA_PAGE_SIZE, true, &page, &zeroed),
        0);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, one.client, page, 9 * GA_PAGE_SIZE), -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, one.client, page, 8 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, two.client, two.mcache, 5 * GA_PAGE_SIZE, true, &more, &zeroed),
        -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, one.client, page, 5 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, two.client, two.mcache, 5 * GA_PAGE_SIZE, true, &more, &zeroed),
        0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_BYTES), 10 * GA_PAGE_SIZE);
    /* An object that outlives its client counts as before, and does not grow either. */
    ga_heap_client_gone(core.heap, two.client);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_BYTES), 10 * GA_PAGE_SIZE);
    struct process other = start(BOB);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, other.client, more, 6 * GA_PAGE_SIZE), -EDQUOT);
    close_core();
}

static void mcaches_and_connections(void)
{
    open_core(GA_QUOTA_MCACHES, 3, 2);
    ga_mcache_id mcache;
    ga_client_id one = attach(ALICE);
    ga_core_mcache(&core, one);
    ga_core_mcache(&core, one);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, one, &mcache), -EDQUOT);
    ga_client_id two = attach(ALICE);
    ga_core_mcache(&core, two);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, two, &mcache), -EDQUOT);
    ga_core_mcache(&core, attach(BOB));
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, two, &mcache), 0);
    close_core();

    open_core(GA_QUOTA_CONNECTIONS, 2, 1);
    one = attach(ALICE);
    attach(ALICE);
    CU_ASSERT_EQUAL(try_attach(ALICE, &two), -EDQUOT);
    attach(BOB);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_EQUAL(try_attach(ALICE, &two), 0);
    close_core();
}

static void roots(void)
{
    open_core(GA_QUOTA_ROOTS, 2, 0);
    struct process one = start(ALICE);
    struct process other = start(BOB);
    uint64_t at = ga_core_lease(&core, one.client, one.mcache, CLASS) * GA_PAGE_SIZE;
    uint64_t old;
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one.client, "a", at), 0);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, one.client, "b", at, &old), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one.client, "c", at), -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, one.client, "c", at, &old), -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, one.client, "a", at, &old), 0);
    /* Who replaces a root has it from then on. */
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, other.client, "a", at, &old), 0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_ROOTS), 1);
    CU_ASSERT_EQUAL(used(BOB, GA_QUOTA_ROOTS), 1);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one.client, "c", at), 0);
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));
    /* Roots outlive who published them, and so do the charges. */
    ga_heap_client_gone(core.heap, one.client);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_ROOTS), 2);
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_ROOTS), 2);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "b"), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "c"), 0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_ROOTS), 0);
    close_core();
}

static void holds(void)
{
    open_core(GA_QUOTA_HOLDS, 0, 1);
    struct process one = start(ALICE);
    ga_page_id page = ga_core_lease(&core, one.client, one.mcache, CLASS);
    CU_ASSERT_FATAL(page != 0 && ga_core_claim(&core, one.mcache, page));
    uint64_t offsets[2];
    for (int i = 0; i < 2; i++) {
        struct ga_slot slot;
        CU_ASSERT_EQUAL(ga_core_malloc(&core, one.mcache, CLASS, &slot), 0);
        offsets[i] = page * GA_PAGE_SIZE + slot.index * ga_size_classes[CLASS / 2].size;
    }
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one.client, offsets[0]), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one.client, offsets[0]), 0); /* once more of it */
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one.client, offsets[1]), -EDQUOT);
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, one.client, offsets[0]), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one.client, offsets[1]), -EDQUOT);
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, one.client, offsets[0]), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one.client, offsets[1]), 0);
    close_core();
}

/* Clients keep what they have when a server with lower quotas takes the heap over. */
static void taken_over(void)
{
    open_core(GA_QUOTA_SPANS, 0, 0);
    struct process one = start(ALICE);
    uint32_t n;
    CU_ASSERT_EQUAL(lease(one, 4, &n), 0);
    ga_page_id page;
    bool zeroed;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, one.client, one.mcache, 6 * GA_PAGE_SIZE, true, &page, &zeroed),
        0);
    core.config.user_quota.of[GA_QUOTA_SPANS] = 2;
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_SPANS), 5);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_BYTES), 10 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(used(ALICE, GA_QUOTA_MCACHES), 1);
    CU_ASSERT_EQUAL(lease(one, 1, &n), -EDQUOT);
    close_core();
}

/* Accounts are used again, so that users who come and go do not use them up. */
static void many_users(void)
{
    open_core(GA_QUOTA_SPANS, 1, 0);
    for (uint32_t uid = 0; uid < 3 * core.heap->quota.account_count; uid++) {
        ga_client_id client = attach(uid);
        ga_heap_client_gone(core.heap, client);
    }
    CU_ASSERT_EQUAL(core.heap->quota.account_end, 1);
    close_core();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"leased spans", leased_spans},
        {"left behind", left_behind},
        {"shared without quotas", shared_without_quotas},
        {"large objects", large_objects},
        {"mcaches and connections", mcaches_and_connections},
        {"roots", roots},
        {"holds", holds},
        {"taken over", taken_over},
        {"many users", many_users},
    };
    return ga_test_main("server.quota", tests, COUNT(tests));
}
