/* Words that cannot be, each rule by itself; honest mcaches at every step, which must never be
 * suspected; and what a client in quarantine is refused. */
#include "support/core_fixture.h"

#include <errno.h>
#include <string.h>

#include "shm/ring.h"
#include "shm/size_class.h"
#include "shm/tiny.h"
#include "support/cunit_main.h"

#define CLASS 20 /* spans of one page */

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id mcache;
static struct ga_mcache *words;

static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    client = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, client);
    words = &core.view.mcaches[mcache];
}

/* What is said of the client's words, "" for nothing. */
static const char *said(void)
{
    struct ga_suspicion suspicion;
    if (!ga_heap_suspect_client(core.heap, client, 64, &suspicion))
        return "";
    CU_ASSERT_EQUAL(suspicion.client, client);
    CU_ASSERT_EQUAL(suspicion.mcache, mcache);
    return suspicion.what;
}

/* ---- each rule ---- */

static const char carves_not_leased[] = "carves tiny objects from what is not leased to it";
static const char too_much_taken[] = "has taken more from its ring than was put there";
static const char no_such_page[] = "tells of a page that there is not";

static void carve_from_another_class(void)
{
    ga_store_release(&words->tiny, ga_core_lease(&core, client, mcache, CLASS));
}

static void carve_past_the_end(void)
{
    ga_store_release(&words->tiny, core.heap->npages_committed);
}

static void take_too_much(void)
{
    ga_store_release(&words->ring_taken, ga_mcache_record(core.heap, mcache)->ring_head + 1);
}

static void take_too_little(void)
{
    ga_mcache_record(core.heap, mcache)->ring_head = GA_RING_ENTRIES + 1;
    CU_ASSERT_EQUAL(ga_load_relaxed(&words->ring_taken), 0);
}

static void tell_past_the_end(void)
{
    ga_store_release(&words->telling, core.heap->npages_committed);
}

static void test_rules(void)
{
    static const struct {
        void (*spoil)(void);
        const char *what;
    } rules[] = {
        {carve_from_another_class, carves_not_leased},
        {carve_past_the_end, carves_not_leased},
        {take_too_much, too_much_taken},
        {take_too_little, too_much_taken},
        {tell_past_the_end, no_such_page},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        open_core();
        ga_core_lease(&core, client, mcache, 40); /* so that something is committed */
        CU_ASSERT_STRING_EQUAL(said(), "");
        rules[i].spoil();
        CU_ASSERT_STRING_EQUAL(said(), rules[i].what);
        CU_ASSERT_STRING_EQUAL(said(), ""); /* once is enough */
        ga_core_close(&core);
    }
}

/* All mcaches in turn: each that is spoilt is found, once, from wherever the look begins; and who
 * has the id next is looked at anew. */
static void test_in_turn(void)
{
    enum { OTHERS = 5 };
    open_core();
    ga_core_lease(&core, client, mcache, CLASS); /* so that something is committed */
    for (int i = 0; i < OTHERS; i++)
        ga_core_mcache(&core, client);
    tell_past_the_end();
    ga_store_release(&core.view.mcaches[mcache + 3].telling, UINT64_MAX);
    uint32_t cursor = mcache + 1;
    struct ga_suspicion suspicion;
    uint32_t left = UINT32_MAX;
    CU_ASSERT_FATAL(ga_heap_suspect_next(core.heap, &cursor, &left, &suspicion));
    CU_ASSERT_EQUAL(suspicion.mcache, mcache + 3);
    CU_ASSERT_FATAL(ga_heap_suspect_next(core.heap, &cursor, &left, &suspicion));
    CU_ASSERT_EQUAL(suspicion.mcache, mcache);
    CU_ASSERT_FALSE(ga_heap_suspect_next(core.heap, &cursor, &left, &suspicion));
    left = 100;
    CU_ASSERT_FALSE(ga_heap_suspect_next(core.heap, &cursor, &left, &suspicion));

    ga_store_release(&core.view.mcaches[mcache].telling, 0);
    ga_heap_client_gone(core.heap, client);
    client = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, client);
    words = &core.view.mcaches[mcache];
    CU_ASSERT_STRING_EQUAL(said(), "");
    tell_past_the_end();
    CU_ASSERT_STRING_EQUAL(said(), no_such_page);
    ga_core_close(&core);
}

/* ---- honest clients ---- */

/* What a lease and a free by others store. */
static void test_midway(void)
{
    open_core();
    ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_store_release(&core.view.lines[page].a[0], 7);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_store_release(&core.view.lines[page].a[0], 0);
    ga_store_release(&words->telling, page);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_store_release(&words->telling, 0);
    ga_core_end_lease(&core, mcache, page); /* and the message is still to come */
    CU_ASSERT_STRING_EQUAL(said(), "");
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, mcache, page), 0);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_core_close(&core);
}

static void take_from_ring(ga_span_class span_class)
{
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, mcache, span_class, 3), 0);
    CU_ASSERT_STRING_EQUAL(said(), "");
    for (int i = 0; i < 3; i++) {
        ga_store_release(&words->ring_taken, ga_load_relaxed(&words->ring_taken) + 1);
        CU_ASSERT_STRING_EQUAL(said(), "");
    }
}

/* Objects of every class, tiny and large, rings gone round, and a server that ends in between. */
static void test_honest(void)
{
    static char why[GA_ADOPT_WHY_BYTES];
    open_core();
    for (ga_span_class c = 2; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_slot slot;
        ga_page_id page = ga_core_lease(&core, client, mcache, c);
        CU_ASSERT_FATAL(page != 0 && ga_core_claim(&core, mcache, page));
        CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, c, &slot), 0);
        CU_ASSERT_STRING_EQUAL(said(), "");
        if (c % 16 == 0) {
            take_from_ring(c);
            CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
            words = &core.view.mcaches[mcache];
            CU_ASSERT_STRING_EQUAL(said(), "");
        }
        if (c % 2 == 0) {
            CU_ASSERT(ga_core_free_own(&core, mcache, &slot));
            CU_ASSERT_EQUAL(ga_core_return(&core, client, mcache, page), 0);
            CU_ASSERT_STRING_EQUAL(said(), "");
        }
    }
    ga_page_id large;
    bool zeroed;
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, mcache, 100000, false, &large, &zeroed), 0);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_core_free_large(&core, client, mcache, large);
    CU_ASSERT_STRING_EQUAL(said(), "");
    ga_core_close(&core);
}

/* ---- quarantine ---- */

static void test_quarantine(void)
{
    open_core();
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count;
    ga_page_id large;
    bool zeroed;
    uint64_t old;
    ga_mcache_id another;
    CU_ASSERT_EQUAL_FATAL(
        ga_core_large_alloc(&core, client, mcache, 100000, false, &large, &zeroed), 0);
    uint64_t offset = large * GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, client, offset), 0);
    ga_heap_quarantine(core.heap, client);

    struct ga_heap *heap = core.heap;
    CU_ASSERT_EQUAL(ga_heap_new_mcache(heap, client, &another), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_lease(heap, client, mcache, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(heap, client, mcache, CLASS, 1), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_large_alloc(heap, client, mcache, 100000, 0, false, &another, &zeroed),
                    -EPERM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(heap, client, large, 200000), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_publish(heap, client, "name", offset), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_replace(heap, client, "name", offset, &old), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_hold(heap, client, offset), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_release(heap, client, offset), 0);
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(heap, client, &info), 0);
    CU_ASSERT(info.quarantined && info.spans == 1); /* it keeps what it has */

    ga_client_id honest = ga_core_attach(&core);
    CU_ASSERT(ga_core_lease(&core, honest, ga_core_mcache(&core, honest), CLASS) != 0);
    ga_heap_client_gone(heap, client);
    CU_ASSERT_PTR_NULL(ga_core_audit(&core));
    client = ga_core_attach(&core); /* the id is used again, without the guilt */
    CU_ASSERT_EQUAL(ga_heap_new_mcache(heap, client, &another), 0);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"each rule", test_rules},       {"all mcaches in turn", test_in_turn},
        {"store by store", test_midway}, {"honest clients", test_honest},
        {"quarantine", test_quarantine},
    };
    return ga_test_main("server.suspect", tests, sizeof(tests) / sizeof(tests[0]));
}
