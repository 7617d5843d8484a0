/* What a client leaves: in slices, through the death of the server in the middle, and as its policy
 * says. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shm/size_class.h"
#include "shm/tiny.h"
#include "support/cunit_main.h"

#define RESERVE    (16 * GA_ARENA_SIZE)
#define CLASS      20 /* one page, 64 slots */
#define WIDE       2  /* one page, 1,024 slots */
#define NSPANS     1000u
#define NSPANS_BIG 100000u

static struct ga_core core;
static ga_client_id client;
static ga_client_id other_client;
static ga_mcache_id me;
static ga_mcache_id other;

static void open_core(uint64_t reserve, uint32_t policy)
{
    ga_core_open(&core, reserve, 0);
    client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_set_policy(core.heap, client, policy), 0);
    other_client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, other_client);
}

static void adopt(void)
{
    char why[GA_ADOPT_WHY_BYTES] = "";
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
}

/* Lease count spans of the class, and use one slot of each. */
static void use_spans(ga_client_id c, ga_mcache_id mcache, uint32_t count)
{
    while (count > 0) {
        ga_page_id pages[GA_LEASE_MAX];
        uint32_t n = count < GA_LEASE_MAX ? count : GA_LEASE_MAX;
        CU_ASSERT_EQUAL_FATAL(ga_heap_lease(core.heap, c, mcache, CLASS, n, pages, &n), 0);
        for (uint32_t i = 0; i < n; i++) {
            ga_slot_begin_lease(&core.view, mcache, pages[i]);
            ga_store_release(ga_view_a(&core.view, pages[i], 0),
                             ga_load_relaxed(ga_view_a(&core.view, pages[i], 0)) ^ 1);
        }
        count -= n;
    }
}

static uint32_t state_of(ga_client_id c)
{
    return ga_load_relaxed(&core.heap->clients[c].state);
}

/* A client that is leaving has no rights, and its number is not used again, until it is gone; all
 * the while others are served, and everything adds up. */
static void slices(void)
{
    open_core(RESERVE, GA_POLICY_KEEP);
    ga_mcache_id second = ga_core_mcache(&core, client);
    use_spans(client, me, NSPANS);
    use_spans(client, second, 10);
    ga_heap_client_leave(core.heap, client);
    CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_LEAVING);
    CU_ASSERT_EQUAL(core.heap->nclients, 1);
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count;
    CU_ASSERT_EQUAL(ga_heap_lease(core.heap, client, me, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, client, UINT64_C(8) * GA_PAGE_SIZE), -EPERM);
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_EQUAL(info.client, other_client);

    uint64_t leased = NSPANS + 10;
    while (!ga_heap_recover(core.heap, client, 100)) {
        ga_core_check_sound(&core);
        CU_ASSERT(core.heap->nspans_leased < leased && core.heap->nspans_leased + 100 >= leased);
        CU_ASSERT_EQUAL(ga_heap_lease(core.heap, other_client, other, WIDE, 1, pages, &count), 0);
        CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_LEAVING);
        CU_ASSERT_NOT_EQUAL(ga_core_attach(&core), client);
        leased = core.heap->nspans_leased;
    }
    CU_ASSERT(leased <= 100 + NSPANS / 100); /* the last slice was none too long either */
    CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_FREE);
    CU_ASSERT_EQUAL(core.heap->central[CLASS].partial[0].count, NSPANS + 10);
    CU_ASSERT_EQUAL(ga_core_attach(&core), client);
    CU_ASSERT_EQUAL(ga_core_mcache(&core, client), me); /* the last that was given back */
    CU_ASSERT(ga_heap_recover(core.heap, client, 1));   /* is not leaving: nothing happens */
    CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_ATTACHED);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* How many slices of nspans it takes. */
static uint32_t count_slices(uint32_t nspans)
{
    uint32_t n = 1;
    while (!ga_heap_recover(core.heap, client, nspans))
        n++;
    return n;
}

/* What takes time and is no span counts as several: mcaches, and holds, for each of which the table
 * is looked through, whoever's they are. */
static void slices_of_other_things(void)
{
    open_core(RESERVE, GA_POLICY_PRIVATE);
    for (int i = 0; i < 100; i++)
        (void)ga_core_mcache(&core, client);
    ga_heap_client_leave(core.heap, client);
    CU_ASSERT(count_slices(8) >= 101);
    ga_core_close(&core);

    for (int own = 0; own < 2; own++) {
        open_core(RESERVE, GA_POLICY_PRIVATE);
        use_spans(client, me, 100);
        ga_page_id page = ga_mcache_record(core.heap, me)->leased.first;
        for (; page; page = core.heap->mspans[page].next)
            CU_ASSERT_EQUAL(
                ga_heap_hold(core.heap, own ? client : other_client, (uint64_t)page * GA_PAGE_SIZE),
                0);
        ga_heap_client_leave(core.heap, client);
        CU_ASSERT(count_slices(4) >= 100);
        CU_ASSERT_EQUAL(core.heap->nspans, own ? 0 : 100);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* Whoever takes over in the middle of it does the rest, under each policy. */
static void killed_in_the_middle(void)
{
    for (uint32_t policy = 0; policy < GA_POLICY_COUNT; policy++) {
        for (uint32_t nspans = 0; nspans <= 30; nspans += 10) {
            open_core(RESERVE, policy);
            use_spans(client, me, 25);
            uint32_t kept = policy == GA_POLICY_PRIVATE ? 0 : 25;
            ga_heap_client_leave(core.heap, client);
            CU_ASSERT_EQUAL(ga_heap_recover(core.heap, client, nspans), nspans >= 25);
            adopt();
            CU_ASSERT_EQUAL(core.heap->nclients, 1);
            CU_ASSERT_EQUAL(core.heap->nleaving, 0);
            CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_FREE);
            CU_ASSERT_EQUAL(core.heap->nspans, kept);
            CU_ASSERT_EQUAL(core.heap->orphans.count, policy == GA_POLICY_UNREACHABLE ? kept : 0);
            CU_ASSERT_EQUAL(core.heap->nspans_leased, 0);
            ga_core_check_sound(&core);
            ga_core_close(&core);
        }
    }
}

/* Nobody is refused what a client that is leaving still has. */
static void nobody_is_refused(void)
{
    ga_core_open(&core, RESERVE, 64 * GA_PAGE_SIZE);
    client = ga_core_attach(&core);
    other_client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, other_client);
    CU_ASSERT_EQUAL(ga_heap_set_policy(core.heap, client, GA_POLICY_PRIVATE), -EPERM); /* late */
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(ga_heap_lease(core.heap, client, me, CLASS, 64, pages, &count), 0);
    CU_ASSERT_EQUAL(count, 63);
    CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, WIDE), 0);
    ga_heap_client_leave(core.heap, client);
    CU_ASSERT_NOT_EQUAL(ga_core_lease(&core, other_client, other, WIDE), 0);
    CU_ASSERT_EQUAL(state_of(client), GA_CLIENT_FREE);
    ga_core_check_sound(&core);

    /* What it has used in part is good for who wants slots of that size, and for nobody else. */
    for (int same = 0; same < 2; same++) {
        CU_ASSERT_EQUAL(ga_core_attach(&core), client);
        me = ga_core_mcache(&core, client);
        use_spans(client, me, 31);
        ga_heap_client_leave(core.heap, client);
        for (int i = 0; !same && i < 31; i++)
            CU_ASSERT_NOT_EQUAL(ga_core_lease(&core, other_client, other, WIDE), 0);
        CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, same ? CLASS : WIDE) != 0, same);
    }
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* ---- the private ---- */

static ga_page_id use_tiny(void)
{
    ga_page_id page = ga_core_lease(&core, client, me, GA_SPAN_CLASS_TINY);
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, me, page));
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(ga_core_malloc(&core, me, GA_SPAN_CLASS_TINY, &slot), 0);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    return page;
}

/* Of a private client nothing stays, of whatever kind; what others have stays. */
static void private_goes_whole(void)
{
    open_core(RESERVE, GA_POLICY_PRIVATE);
    ga_page_id theirs = ga_core_lease(&core, other_client, other, CLASS);
    struct ga_slot kept;
    CU_ASSERT(ga_core_claim(&core, other, theirs));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &kept), 0);
    ga_core_end_lease(&core, other, theirs);
    CU_ASSERT_EQUAL(ga_core_return(&core, other_client, other, theirs), 0);
    CU_ASSERT_EQUAL(core.heap->mspans[theirs].place, GA_SPAN_PARTIAL);

    ga_page_id mine = ga_core_lease(&core, client, me, CLASS);
    CU_ASSERT_NOT_EQUAL(mine, theirs); /* a span that others share is not for the private */
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, me, mine));
    for (int i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(ga_core_malloc(&core, me, CLASS, &slot), 0);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    ga_page_id wide = ga_core_lease(&core, client, me, WIDE);
    CU_ASSERT(ga_core_claim(&core, me, wide));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, me, WIDE, &slot), 0);
    use_tiny();
    ga_page_id large;
    bool zeroed;
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 100000, false, &large, &zeroed), 0);
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 2 * GA_CORE_MIB, true, &large, &zeroed),
                    0);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me, CLASS, 3), 0);

    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    struct ga_heap_stats stats;
    ga_heap_get_stats(core.heap, &stats);
    CU_ASSERT_EQUAL(stats.frees, 1 + 4 + 1 + 20 + 2); /* one by the other: each is counted once */
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[me].large_free_bytes),
                    13 * GA_PAGE_SIZE + 2 * GA_CORE_MIB); /* 100,000 bytes are 13 pages */
    CU_ASSERT(!ga_core_in_use(&core, &slot));
    CU_ASSERT(!ga_core_free_other(&core, other, &slot));
    ga_core_check_sound(&core);
    /* The policy was the client's, not the number's. */
    CU_ASSERT_EQUAL(ga_core_attach(&core), client);
    me = ga_core_mcache(&core, client);
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, me, CLASS), theirs);
    ga_core_close(&core);
}

/* A held object of a private client stays until its last release, and no longer; roots go. */
static void private_held_and_published(void)
{
    for (int large = 0; large < 2; large++) {
        open_core(RESERVE, GA_POLICY_PRIVATE);
        ga_page_id page = 0;
        bool zeroed;
        if (large) {
            CU_ASSERT_EQUAL(
                ga_core_large_alloc(&core, client, me, 2 * GA_CORE_MIB, false, &page, &zeroed), 0);
        } else {
            page = ga_core_lease(&core, client, me, CLASS);
            CU_ASSERT(ga_core_claim(&core, me, page));
            struct ga_slot slot;
            for (int i = 0; i < 5; i++)
                CU_ASSERT_EQUAL(ga_core_malloc(&core, me, CLASS, &slot), 0);
        }
        use_spans(client, me, 2);
        uint64_t offset = (uint64_t)page * GA_PAGE_SIZE;
        struct ga_slot held = ga_core_slot(&core, page, 0);
        ga_page_id others = ga_core_lease(&core, other_client, other, CLASS);
        CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other_client, offset), 0);
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, other_client, "gone", offset), 0);
        CU_ASSERT_EQUAL(
            ga_heap_publish(core.heap, client, "stays", (uint64_t)others * GA_PAGE_SIZE), 0);

        ga_heap_client_leave(core.heap, client);
        uint64_t found;
        uint32_t by;
        CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "gone", &found, &by), -ENOENT);
        CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "stays", &found, &by), 0);
        CU_ASSERT_EQUAL(by, 0);
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, other_client, "late", offset), -EINVAL);
        CU_ASSERT(ga_heap_recover(core.heap, client, 1000));
        CU_ASSERT_EQUAL(core.heap->nspans, 2); /* the held one's, and the other's own */
        CU_ASSERT(ga_core_in_use(&core, &held));
        CU_ASSERT_EQUAL(ga_slot_count_used(&core.view, page, large ? 1 : 64), 1);
        CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -EINVAL); /* it is freed already */
        ga_core_check_sound(&core);
        adopt();
        CU_ASSERT(ga_core_in_use(&core, &held));
        CU_ASSERT_EQUAL(ga_heap_release(core.heap, other_client, offset), 0);
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* A hold of what is no object any more does not keep, nor later free, what lies there next. */
static void private_hold_too_late(void)
{
    open_core(RESERVE, GA_POLICY_PRIVATE);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other_client, (uint64_t)page * GA_PAGE_SIZE), 0);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, CLASS), page);
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, other, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(slot.index, 0);
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, other_client, (uint64_t)page * GA_PAGE_SIZE), 0);
    CU_ASSERT(ga_core_in_use(&core, &slot));
    ga_core_close(&core);
}

/* A free by somebody else, between its check and its store to F, meets the end of the private
 * client: whenever the store comes, also into a new span of those pages that slots are allocated
 * from, it changes nothing. Slots of both polarities. */
static void private_meets_a_free(void)
{
    for (int polarity = 0; polarity < 2; polarity++) {
        open_core(RESERVE, GA_POLICY_PRIVATE);
        ga_page_id page = ga_core_lease(&core, client, me, CLASS);
        struct ga_slot slots[2];
        for (int i = 0; i < 1 + polarity; i++) { /* allocated, or allocated, freed and again */
            CU_ASSERT(ga_core_claim(&core, me, page));
            CU_ASSERT_EQUAL(ga_core_malloc(&core, me, CLASS, &slots[0]), 0);
            CU_ASSERT_EQUAL(ga_core_malloc(&core, me, CLASS, &slots[1]), 0);
            for (int k = 0; i < polarity && k < 2; k++)
                CU_ASSERT(ga_core_free_other(&core, other, &slots[k]));
        }
        uint64_t a;
        CU_ASSERT(ga_slot_in_use(&core.view, &slots[1], &a)); /* the check */
        CU_ASSERT_EQUAL(a != 0, polarity == 0);
        ga_heap_client_gone(core.heap, client);
        CU_ASSERT_EQUAL(core.heap->nspans, 0);
        CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, CLASS), page);
        CU_ASSERT(ga_core_claim(&core, other, page));
        CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slots[0]), 0);
        CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slots[1]), 0);
        _Atomic uint64_t *f = ga_view_f(&core.view, page, 0);
        uint64_t before = ga_load_relaxed(f);
        uint64_t bit = UINT64_C(1) << slots[1].index; /* the store */
        a ? ga_fetch_or_seq_cst(f, bit) : ga_fetch_and_seq_cst(f, ~bit);
        CU_ASSERT_EQUAL(ga_load_relaxed(f), before);
        CU_ASSERT(ga_core_in_use(&core, &slots[1]));
        CU_ASSERT(ga_core_free_own(&core, other, &slots[1]));
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A client of 100,000 spans. How long it takes is printed, and judged by nobody. */
static void many_spans(void)
{
    for (uint32_t policy = 0; policy < GA_POLICY_COUNT; policy++) {
        open_core(RESERVE, policy);
        use_spans(client, me, NSPANS_BIG);
        uint64_t start = now_us();
        uint64_t longest = 0;
        uint32_t nslices = 0;
        ga_heap_client_leave(core.heap, client);
        for (bool done = false; !done; nslices++) {
            uint64_t from = now_us();
            done = ga_heap_recover(core.heap, client, 256);
            longest = now_us() - from > longest ? now_us() - from : longest;
        }
        printf("%u spans, policy %u: %u slices, %llu us in all, the longest %llu us\n", NSPANS_BIG,
               policy, nslices, (unsigned long long)(now_us() - start),
               (unsigned long long)longest);
        CU_ASSERT(nslices > NSPANS_BIG / 256);
        CU_ASSERT_EQUAL(core.heap->nspans, policy == GA_POLICY_PRIVATE ? 0 : NSPANS_BIG);
        ga_core_close(&core);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"slices", slices},
        {"slices of what is no span", slices_of_other_things},
        {"a server killed in the middle", killed_in_the_middle},
        {"nobody is refused meanwhile", nobody_is_refused},
        {"the private go whole", private_goes_whole},
        {"what others hold and publish of the private", private_held_and_published},
        {"a hold that came too late", private_hold_too_late},
        {"a free that meets the end", private_meets_a_free},
        {"100,000 spans", many_spans},
    };
    return ga_test_main("unit.server.recover", tests, sizeof(tests) / sizeof(tests[0]));
}
