/* A client that has a new connection: what was granted to it and never reached it is nobody's
 * again, what did reach it stays its own; what it has returned without being heard is taken over.
 */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "support/cunit_main.h"

#define COUNT(a)    (sizeof(a) / sizeof(*(a)))
#define CLASS       20
#define OTHER_CLASS 30
#define LARGE       (UINT64_C(3) << 20) /* more than is leased to an mcache */

static struct ga_core core;
static ga_client_id client, other_client;
static ga_mcache_id me, other;

static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    client = ga_core_attach(&core);
    other_client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, other_client);
}

static void close_core(void)
{
    const char *wrong = ga_core_audit(&core);
    if (wrong)
        printf("not true: %s\n", wrong);
    CU_ASSERT_PTR_NULL(wrong);
    ga_core_close(&core);
}

static bool is_leased(ga_page_id page, ga_mcache_id mcache)
{
    return ga_entry_owner(ga_view_entry(&core.view, page)) == mcache;
}

static void lease_two(ga_client_id of, ga_mcache_id mcache, ga_page_id pages[static GA_LEASE_MAX])
{
    uint32_t n = 0;
    CU_ASSERT_EQUAL_FATAL(ga_heap_lease(core.heap, of, mcache, CLASS, 2, pages, &n), 0);
    CU_ASSERT_EQUAL_FATAL(n, 2);
}

static void never_begun(void)
{
    ga_page_id pages[GA_LEASE_MAX], others[GA_LEASE_MAX];
    open_core();
    lease_two(client, me, pages);
    lease_two(other_client, other, others);
    ga_slot_begin_lease(&core.view, me, pages[0]);
    CU_ASSERT_EQUAL(ga_heap_client_back(core.heap, client), 0);
    CU_ASSERT(is_leased(pages[0], me));
    CU_ASSERT_FALSE(is_leased(pages[1], me));
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, 1);
    CU_ASSERT(is_leased(others[0], other) && is_leased(others[1], other));
    CU_ASSERT_EQUAL(ga_heap_client_back(core.heap, other_client + 1), -EPERM);
    close_core();
}

/* What lies in the ring is still on its way. */
static void in_the_ring(void)
{
    open_core();
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me, OTHER_CLASS, 3), 0);
    uint64_t n = ga_mcache_record(core.heap, me)->leased.count;
    CU_ASSERT(n > 0);
    CU_ASSERT_EQUAL(ga_heap_client_back(core.heap, client), 0);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, n);
    close_core();
}

static void never_taken(void)
{
    ga_page_id taken, untaken;
    bool zeroed;
    open_core();
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, LARGE, true, &taken, &zeroed), 0);
    CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, me, LARGE, 0, true, &untaken, &zeroed),
                    0);
    uint64_t npages = core.heap->npages_inuse;
    CU_ASSERT_EQUAL(ga_heap_client_back(core.heap, client), 0);
    CU_ASSERT_EQUAL(core.heap->npages_inuse, npages - LARGE / GA_PAGE_SIZE);
    CU_ASSERT(ga_entry_is_span(ga_view_entry(&core.view, taken)));
    CU_ASSERT_FALSE(ga_entry_is_span(ga_view_entry(&core.view, untaken)));
    close_core();
}

static void returned_unheard(void)
{
    ga_page_id pages[GA_LEASE_MAX], others[GA_LEASE_MAX];
    open_core();
    lease_two(client, me, pages);
    lease_two(other_client, other, others);
    for (int i = 0; i < 2; i++) {
        ga_slot_begin_lease(&core.view, me, pages[i]);
        ga_slot_begin_lease(&core.view, other, others[i]);
    }
    ga_core_end_lease(&core, me, pages[1]);
    ga_core_end_lease(&core, other, others[1]);
    ga_heap_collect_returned(core.heap, client);
    CU_ASSERT(is_leased(pages[0], me));
    CU_ASSERT_FALSE(is_leased(pages[1], me));
    CU_ASSERT(is_leased(others[1], other)); /* it has not asked */
    ga_heap_collect_returned(core.heap, other_client + 1);
    ga_heap_collect_returned(core.heap, other_client);
    CU_ASSERT_FALSE(is_leased(others[1], other));
    CU_ASSERT_EQUAL(core.heap->nspans_leased, 2);
    close_core();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"leases that were never begun", never_begun},
        {"leases in the ring", in_the_ring},
        {"large spans that were never taken", never_taken},
        {"returns that nobody heard of", returned_unheard},
    };
    return ga_test_main("server.client_back", tests, COUNT(tests));
}
