/* The sweep of pending bits: that everything is found, in the order and the portions in which it is
 * due; and that no request looks at more than its share, however much lies there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/heap_internal.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define CLASS      20 /* one page, 64 slots */
#define NSLOTS     64u
#define SPANS_MOST (100u + 63)
#define WORDS_MOST 512u

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id me;
static ga_mcache_id other;

static void open_core(uint64_t reserve, uint64_t limit)
{
    ga_core_open(&core, reserve, limit);
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, client);
}

/* A span of the class that nobody leases, with one object in it. */
static ga_page_id leave_one(struct ga_slot *ret)
{
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    CU_ASSERT_FATAL(page != 0);
    CU_ASSERT_FATAL(ga_core_claim(&core, me, page));
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, me, CLASS, ret), 0);
    ga_core_end_lease(&core, me, page);
    return page;
}

/* count such spans, each a new one, then all given back and their objects freed by another: as many
 * spans that are empty, and nobody has looked. */
static void leave_pending(uint32_t count)
{
    ga_page_id *pages = malloc(count * sizeof(*pages));
    struct ga_slot *slots = malloc(count * sizeof(*slots));
    CU_ASSERT_FATAL(pages && slots);
    for (uint32_t i = 0; i < count; i++)
        pages[i] = leave_one(&slots[i]);
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, pages[i]), 0);
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT(ga_core_free_other(&core, other, &slots[i]));
    CU_ASSERT_EQUAL(core.heap->nspans, count);
    free(slots);
    free(pages);
}

static int lease(uint32_t count, ga_span_class span_class)
{
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t got = 0;
    int r = ga_heap_lease(core.heap, client, me, span_class, count, pages, &got);
    return r < 0 ? r : (int)got;
}

/* What was looked at since the last call. */
static uint64_t words_seen;
static uint64_t spans_seen;

static uint64_t words_since(void)
{
    uint64_t n = core.heap->sweep.nwords - words_seen;
    words_seen = core.heap->sweep.nwords;
    return n;
}

static uint64_t spans_since(void)
{
    uint64_t n = core.heap->sweep.nspans - spans_seen;
    spans_seen = core.heap->sweep.nspans;
    return n;
}

static void ask_for_something(int i)
{
    bool zeroed;
    ga_page_id page;
    int r = 0;
    if (i % 3 == 0)
        r = lease(GA_LEASE_MAX, 40) == GA_LEASE_MAX ? 0 : -1;
    else if (i % 3 == 1) /* there is no room left in the ring when it is full */
        r = ga_heap_lease_ahead(core.heap, client, me, 30, 8);
    else
        r = ga_heap_large_alloc(core.heap, client, me, 3 << 20, 0, false, &page, &zeroed);
    CU_ASSERT_EQUAL(r, 0);
}

/* 100,000 spans lie there. No request looks at more than its share of them, whatever it asks for;
 * and as requests come, and the loop turns, all come back. */
static void bounded(void)
{
    open_core(16 * GA_ARENA_SIZE, 0);
    leave_pending(100000);
    words_since();
    spans_since();
    for (int i = 0; i < 100; i++) {
        ask_for_something(i);
        CU_ASSERT(words_since() <= WORDS_MOST);
        CU_ASSERT(spans_since() <= SPANS_MOST);
    }
    uint64_t inuse = core.heap->npages_inuse;
    CU_ASSERT(inuse > 50000);
    ga_heap_begin_sweep(core.heap);
    uint32_t nslices = 0;
    bool more = true;
    for (; more; nslices++) {
        more = ga_heap_sweep_some(core.heap);
        CU_ASSERT(words_since() <= WORDS_MOST);
        CU_ASSERT(spans_since() <= SPANS_MOST);
    }
    CU_ASSERT(nslices > 500);
    for (uint64_t i = 0; i < core.heap->npages_committed; i++)
        CU_ASSERT_FALSE(ga_core_is_pending(&core, (ga_page_id)i));
    CU_ASSERT(core.heap->npages_inuse < 20000);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* A large heap where nothing is pending: its growth costs no look at all of it. */
static void nothing_there(void)
{
    open_core(64 * GA_ARENA_SIZE, 0);
    bool zeroed;
    ga_page_id page;
    for (int i = 0; i < 4; i++) /* in 3 GiB */
        CU_ASSERT_EQUAL(
            ga_heap_large_alloc(core.heap, client, me, 768 << 20, 0, false, &page, &zeroed), 0);
    CU_ASSERT(core.heap->npages_committed / 64 > 4 * WORDS_MOST);
    words_since();
    uint64_t before = core.heap->npages_committed;
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(lease(GA_LEASE_MAX, CLASS), GA_LEASE_MAX);
        CU_ASSERT(words_since() <= WORDS_MOST);
    }
    CU_ASSERT(core.heap->npages_committed > before);
    ga_core_close(&core);
}

/* The heap does not grow while there is as much to sweep as is asked for; what comes back beyond
 * that is used up first, and nothing is looked at meanwhile. */
static void credit(void)
{
    open_core(16 * GA_ARENA_SIZE, 0);
    leave_pending(2000);
    uint64_t committed = core.heap->npages_committed;
    words_since();
    CU_ASSERT_EQUAL(lease(1, 40), 1);
    uint64_t credit = core.heap->sweep.credit_npages;
    CU_ASSERT(credit > 0); /* a word has 64 spans of a page */
    CU_ASSERT_EQUAL(words_since(), 1);
    for (; credit > 0; credit--) {
        CU_ASSERT_EQUAL(lease(1, 40), 1);
        CU_ASSERT_EQUAL(words_since(), 0);
        CU_ASSERT_EQUAL(core.heap->sweep.credit_npages, credit - 1);
    }
    CU_ASSERT_EQUAL(lease(1, 40), 1);
    CU_ASSERT_EQUAL(words_since(), 1);
    while (core.heap->nspans_leased < 1900)
        CU_ASSERT(lease(1, 40) == 1);
    CU_ASSERT_EQUAL(core.heap->npages_committed, committed);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Pages that came back one by one are no run: credit does not stand for what cannot be had. */
static void credit_of_no_use(void)
{
    open_core(16 * GA_ARENA_SIZE, 0);
    struct ga_slot slots[512];
    for (uint32_t i = 0; i < 512; i++) {
        ga_page_id page = leave_one(&slots[i]);
        CU_ASSERT_FATAL(page != 0);
    }
    for (uint32_t i = 0; i < 512; i++)
        CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, slots[i].page), 0);
    for (uint32_t i = 0; i < 512; i += 2)
        CU_ASSERT(ga_core_free_other(&core, other, &slots[i]));
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT(core.heap->sweep.credit_npages >= 256);
    for (uint32_t i = 1; i < 512; i += 2)
        CU_ASSERT(ga_core_free_other(&core, other, &slots[i]));
    uint64_t committed = core.heap->npages_committed;
    bool zeroed;
    ga_page_id page;
    CU_ASSERT_EQUAL(
        ga_heap_large_alloc(core.heap, client, me, 90 * GA_PAGE_SIZE, 0, false, &page, &zeroed), 0);
    CU_ASSERT_EQUAL(core.heap->npages_committed, committed);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Nobody is refused what a sweep would find, wherever it lies. */
static void refused_only_after_all(void)
{
    open_core(16 * GA_ARENA_SIZE, 600ull << 20);
    bool zeroed;
    ga_page_id first;
    ga_page_id page;
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 40 << 20, true, &first, &zeroed), 0);
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 500 << 20, true, &page, &zeroed), 0);
    struct ga_slot slot = ga_core_slot(&core, first, 0);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    core.heap->sweep.next = 8; /* just behind it */
    CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, me, 110 << 20, 0, false, &page, &zeroed),
                    -ENOMEM);
    CU_ASSERT_EQUAL(core.heap->mspans[first].npages, 0); /* all was looked at before */
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 50 << 20, true, &page, &zeroed), 0);
    slot = ga_core_slot(&core, page, 0);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    core.heap->sweep.next = page / 64 + 1;
    words_since();
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 55 << 20, true, &page, &zeroed), 0);
    CU_ASSERT(words_since() > WORDS_MOST);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Where somebody says so, it is looked at there. */
static void of_a_page(void)
{
    open_core(16 * GA_ARENA_SIZE, 0);
    bool zeroed;
    ga_page_id pages[2];
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 3 << 20, true, &pages[i], &zeroed),
                        0);
    for (int i = 0; i < 2; i++) {
        struct ga_slot slot = ga_core_slot(&core, pages[i], 0);
        CU_ASSERT(ga_core_free_other(&core, other, &slot));
    }
    ga_heap_sweep_page(core.heap, pages[1]);
    CU_ASSERT_EQUAL(core.heap->mspans[pages[1]].npages, 0);
    CU_ASSERT(core.heap->mspans[pages[0]].npages > 0);
    ga_heap_sweep_page(core.heap, UINT32_MAX);
    ga_heap_sweep_page(core.heap, core.heap->npages_committed);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"no request looks at more than its share", bounded},
        {"growth does not look at all of a large heap", nothing_there},
        {"credit", credit},
        {"credit that is of no use", credit_of_no_use},
        {"refused only after all was looked at", refused_only_after_all},
        {"of a page", of_a_page},
    };
    return ga_test_main("unit.server.sweep", tests, sizeof(tests) / sizeof(tests[0]));
}
