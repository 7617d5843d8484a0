/* Leases: who gets which span, who is believed about its return, and what is left of those who die
 * at any store; the news of frees on their way to whoever is the owner. */
#include "support/core_fixture.h"

#include <errno.h>
#include <string.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  (2 * GA_ARENA_SIZE)
#define CLASS    20 /* one page, 64 slots */
#define WIDE     2  /* one page, 1,024 slots */
#define NSLOTS   64u

static struct ga_core core;
static ga_client_id client;
static ga_client_id other_client;
static ga_mcache_id me;
static ga_mcache_id other;

static void open_core(uint64_t limit)
{
    ga_core_open(&core, RESERVE, limit);
    client = ga_core_attach(&core);
    other_client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, other_client);
}

static int lease(ga_client_id c, ga_mcache_id mcache, ga_span_class span_class, uint32_t count,
                 ga_page_id pages[static GA_LEASE_MAX], uint32_t *ret_count)
{
    return ga_heap_lease(core.heap, c, mcache, span_class, count, pages, ret_count);
}

/* Allocate n slots of the span at page, which me has just leased. */
static void use(ga_page_id page, uint32_t n)
{
    ga_span_class span_class = ga_entry_span_class(ga_view_entry(&core.view, page));
    while (n-- > 0) {
        struct ga_slot slot;
        if (ga_core_malloc(&core, me, span_class, &slot) == 0)
            continue;
        CU_ASSERT_FATAL(ga_core_claim(&core, me, page));
        CU_ASSERT_EQUAL(ga_core_malloc(&core, me, span_class, &slot), 0);
        CU_ASSERT_EQUAL(slot.page, page);
    }
}

static uint32_t count_used(ga_page_id page)
{
    struct ga_span_info info;
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, page, &info), 0);
    return info.page == page ? info.used : 0;
}

static uint32_t owner_of(ga_page_id page)
{
    return ga_entry_owner(ga_view_entry(&core.view, page));
}

static void arguments(void)
{
    open_core(0);
    ga_page_id pages[GA_LEASE_MAX] = {0};
    uint32_t count = 77;
    CU_ASSERT_EQUAL(lease(client, me, 0, 1, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, me, 1, 1, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, me, GA_SPAN_CLASS_COUNT, 1, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, me, 255, 1, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, me, CLASS, 0, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, me, CLASS, GA_LEASE_MAX + 1, pages, &count), -EINVAL);
    CU_ASSERT_EQUAL(lease(client, other, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(other_client, me, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(client, 0, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(client, other + 1, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(client, GA_MCACHE_COUNT, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(client, UINT32_MAX, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(other_client + 1, me, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT_EQUAL(lease(UINT32_MAX, me, CLASS, 1, pages, &count), -EPERM);
    CU_ASSERT(count == 77 && pages[0] == 0 && core.heap_backed == 0 && core.nreclaims == 0);
    CU_ASSERT_EQUAL(lease(client, me, 2, 1, pages, &count), 0);
    CU_ASSERT_EQUAL(lease(client, me, 135, 1, pages, &count), 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* All that were asked, no page twice, everything about them said where it is to be said. */
static void grants(void)
{
    open_core(0);
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(lease(client, me, 60, GA_LEASE_MAX, pages, &count), 0);
    CU_ASSERT_EQUAL(count, GA_LEASE_MAX);
    uint32_t npages = ga_size_classes[30].npages;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry = ga_view_entry(&core.view, pages[i]);
        CU_ASSERT(ga_entry_is_span(entry) && ga_entry_owner(entry) == me);
        CU_ASSERT(ga_entry_span_class(entry) == 60 && ga_entry_npages(entry) == npages);
        CU_ASSERT_EQUAL(ga_holder_id(ga_load_relaxed(&core.view.lines[pages[i]].holder)), 0);
        CU_ASSERT_EQUAL(count_used(pages[i]), 0);
    }
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcache_entries[me].nspans), count);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcache_entries[me].leased_bytes),
                    count * npages * GA_PAGE_SIZE);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Near the limit fewer than were asked; at the limit none, and the others are asked to give back.
 */
static void fewer_than_asked(void)
{
    open_core(11 * GA_PAGE_SIZE);
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(lease(client, me, CLASS, 30, pages, &count), 0);
    CU_ASSERT_EQUAL(count, 10);
    CU_ASSERT_EQUAL(core.nreclaims, 0);
    count = 77;
    CU_ASSERT_EQUAL(lease(other_client, other, CLASS, 1, pages, &count), -ENOMEM);
    CU_ASSERT(core.nreclaims == 1 && count == 77);
    ga_slot_begin_lease(&core.view, me, pages[3]);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, pages[3]), 0);
    CU_ASSERT_EQUAL(lease(other_client, other, CLASS, 5, pages, &count), 0);
    CU_ASSERT_EQUAL(count, 1);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Spans with free slots before new ones, the fullest first, full ones never. */
static void fullest_first(void)
{
    open_core(0);
    static const uint32_t used[] = {20, 60, 64, 5, 40};
    ga_page_id span[COUNT(used)];
    for (size_t i = 0; i < COUNT(used); i++)
        span[i] = ga_core_lease(&core, client, me, CLASS);
    for (size_t i = 0; i < COUNT(used); i++) {
        use(span[i], used[i]);
        CU_ASSERT_EQUAL(ga_core_return(&core, client, me, span[i]), 0);
        CU_ASSERT_EQUAL(count_used(span[i]), used[i]);
    }
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(core.heap->nspans, COUNT(used));
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(lease(other_client, other, CLASS, 5, pages, &count), 0);
    CU_ASSERT_EQUAL(count, 5);
    CU_ASSERT(pages[0] == span[1] && pages[1] == span[4]);
    CU_ASSERT(pages[2] == span[0] && pages[3] == span[3]);
    CU_ASSERT_EQUAL(core.heap->nspans, COUNT(used) + 1); /* the fifth is new */
    /* The same class with noscan is another class. */
    CU_ASSERT_EQUAL(lease(client, me, CLASS + 1, 1, pages, &count), 0);
    CU_ASSERT_EQUAL(core.heap->nspans, COUNT(used) + 2);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* A full span of which somebody freed a slot comes before a new one, and is empty before it too. */
static void freed_full_spans(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    use(page, NSLOTS);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    struct ga_slot slot = ga_core_slot(&core, page, 33);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    CU_ASSERT(ga_core_is_pending(&core, page));
    CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, CLASS), page);
    CU_ASSERT_FALSE(ga_core_is_pending(&core, page));
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    CU_ASSERT(ga_core_claim(&core, other, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(slot.index, 33);
    CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slot), -ENOENT);

    CU_ASSERT_EQUAL(ga_core_return(&core, other_client, other, page), 0);
    for (uint32_t i = 0; i < NSLOTS; i++) {
        slot = ga_core_slot(&core, page, i);
        CU_ASSERT(ga_core_free_other(&core, me, &slot));
    }
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    CU_ASSERT_EQUAL(ga_view_entry(&core.view, page), 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* The message is a hint: only the holder word that its sender wrote ends the lease, and only once.
 */
static void returns(void)
{
    open_core(0);
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(lease(client, me, 60, 1, pages, &count), 0);
    ga_page_id page = pages[0];
    _Atomic uint64_t *holder = &core.view.lines[page].holder;
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), -EAGAIN); /* not begun */
    ga_slot_begin_lease(&core.view, me, page);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), -EAGAIN);
    use(page, 3);
    uint64_t begun = ga_load_relaxed(holder);
    ga_slot_end_lease(&core.view, other, page); /* a stray store of another's */
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), -EAGAIN);
    ga_store_relaxed(holder, begun);
    ga_core_end_lease(&core, me, page);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, other, page), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, other_client, me, page), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, other_client, other, page), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, 0), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page + 1), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, UINT32_MAX), -EINVAL);
    CU_ASSERT_EQUAL(core.heap->nspans_leased, 1);
    uint64_t sequence = ga_load_relaxed(holder) >> GA_HOLDER_SEQ_SHIFT;
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(holder), (sequence + 1) << GA_HOLDER_SEQ_SHIFT);
    CU_ASSERT_EQUAL(owner_of(page), 0);
    CU_ASSERT_EQUAL(core.heap->nspans_leased, 0);
    CU_ASSERT_EQUAL(count_used(page), 3);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), -EINVAL); /* again */
    ga_core_check_sound(&core);
    /* Leased anew: the old "returned" does not count. */
    CU_ASSERT_EQUAL(lease(client, me, 60, 1, pages, &count), 0);
    CU_ASSERT_EQUAL(pages[0], page);
    CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), -EAGAIN);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* A span comes back empty, or is emptied between the holder's word and the server's: to mheap. */
static void returned_empty(void)
{
    open_core(0);
    uint64_t sequence = 0;
    for (int late = 0; late < 2; late++) {
        ga_page_id page = ga_core_lease(&core, client, me, WIDE);
        /* Also for a new span on old pages the sequence goes on. */
        uint64_t begun = ga_load_relaxed(&core.view.lines[page].holder) >> GA_HOLDER_SEQ_SHIFT;
        CU_ASSERT(page == 1 && begun > sequence);
        use(page, 70);
        for (uint32_t i = 0; i < 69; i++) {
            struct ga_slot slot = ga_core_slot(&core, page, i);
            CU_ASSERT(ga_core_free_own(&core, me, &slot));
            CU_ASSERT_FALSE(ga_core_free_own(&core, me, &slot));
        }
        struct ga_slot last = ga_core_slot(&core, page, 69);
        CU_ASSERT(late || ga_core_free_own(&core, me, &last));
        ga_core_end_lease(&core, me, page);
        CU_ASSERT(!late || ga_core_free_other(&core, other, &last));
        CU_ASSERT_EQUAL(ga_heap_return(core.heap, client, me, page), 0);
        CU_ASSERT_EQUAL(core.heap->nspans, 0);
        sequence = ga_load_relaxed(&core.view.lines[page].holder) >> GA_HOLDER_SEQ_SHIFT;
        ga_core_check_sound(&core);
    }
    ga_core_close(&core);
}

/* News for nobody's span; before the sweep it is leased: they go on to its owner. What is leased
 * without news stays without. */
static void news_follow_the_owner(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    use(page, 10);
    struct ga_slot slot = ga_core_slot(&core, page, 4);
    CU_ASSERT_FALSE(ga_core_is_in_inbox(&core, me, CLASS, page));
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    CU_ASSERT(ga_core_is_in_inbox(&core, me, CLASS, page));
    CU_ASSERT_FALSE(ga_core_is_pending(&core, page));

    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    slot = ga_core_slot(&core, page, 5);
    CU_ASSERT(ga_core_free_other(&core, me, &slot));
    CU_ASSERT(ga_core_is_pending(&core, page));
    CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, CLASS), page);
    CU_ASSERT(ga_core_is_pending(&core, page));
    CU_ASSERT_FALSE(ga_core_is_in_inbox(&core, other, CLASS, page));
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_FALSE(ga_core_is_pending(&core, page));
    CU_ASSERT(ga_core_is_in_inbox(&core, other, CLASS, page));
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Pending bits that nobody should have set, on every page there is: nothing changes. */
static void stray_pending_bits(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    use(page, 10);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    page = ga_core_lease(&core, client, me, 60);
    bool zeroed;
    ga_page_id large;
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, me, 100000, true, &large, &zeroed), 0);
    for (uint64_t i = 0; i < core.heap->npages_committed / 64; i++)
        ga_store_relaxed(ga_view_pending(&core.view, i), ~UINT64_C(0));
    uint64_t nspans = core.heap->nspans;
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->nspans, nspans);
    for (uint64_t i = 0; i < core.heap->npages_committed; i++)
        CU_ASSERT_FALSE(ga_core_is_pending(&core, (ga_page_id)i));
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* ---- deaths ---- */

/* What a holder has done before it was killed. */
enum death {
    GRANTED, /* not even begun the lease */
    BEGUN,
    ALLOCATED,
    FREED,
    RETURNED,
    DEATHS,
};

static void die(enum death death, ga_page_id page)
{
    struct ga_slot slot;
    if (death >= ALLOCATED) {
        CU_ASSERT(ga_core_claim(&core, me, page));
        CU_ASSERT_EQUAL(ga_core_malloc(&core, me, WIDE, &slot), 0);
    }
    if (death >= FREED)
        CU_ASSERT(ga_core_free_own(&core, me, &slot));
    if (death >= RETURNED)
        ga_slot_end_lease(&core.view, me, page);
}

/* Ten slots of word 0 and three of word 2 in use; the holder dies at each step. */
static void death_of_a_holder(void)
{
    for (enum death death = GRANTED; death < DEATHS; death++) {
        open_core(0);
        ga_page_id page = ga_core_lease(&core, client, me, WIDE);
        use(page, 10);
        ga_slot_flip(ga_view_a(&core.view, page, 2), 7);
        CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
        CU_ASSERT_EQUAL(count_used(page), 13);
        ga_page_id pages[GA_LEASE_MAX];
        uint32_t count = 0;
        CU_ASSERT_EQUAL(lease(client, me, WIDE, 1, pages, &count), 0);
        CU_ASSERT_EQUAL(pages[0], page);
        if (death != GRANTED)
            ga_slot_begin_lease(&core.view, me, page);
        die(death, page);
        struct ga_slot freed = ga_core_slot(&core, page, 2 * 64 + 1);
        CU_ASSERT(ga_core_free_other(&core, other, &freed)); /* before the death is known */

        ga_heap_client_gone(core.heap, client);
        CU_ASSERT_EQUAL(count_used(page), 12 + (death == ALLOCATED));
        for (uint32_t i = 0; i < 1024; i++) {
            struct ga_slot slot = ga_core_slot(&core, page, i);
            bool used = i < 10 || i == 128 || i == 130 || (death == ALLOCATED && i == 10);
            CU_ASSERT_EQUAL(ga_core_in_use(&core, &slot), used);
        }
        CU_ASSERT_EQUAL(owner_of(page), 0);
        CU_ASSERT_EQUAL(ga_holder_id(ga_load_relaxed(&core.view.lines[page].holder)), 0);
        CU_ASSERT_EQUAL(core.heap->mspans[page].place, GA_SPAN_PARTIAL);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* Spans that the dead had and did not use go. */
static void death_with_empty_spans(void)
{
    open_core(0);
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    CU_ASSERT_EQUAL(lease(client, me, CLASS, 20, pages, &count), 0);
    for (uint32_t i = 0; i < count; i++)
        ga_slot_begin_lease(&core.view, me, pages[i]);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(core.heap->pages), core.heap->npages_committed - 1);
    ga_core_check_sound(&core);
    ga_heap_client_gone(core.heap, client); /* once more is nothing */
    CU_ASSERT_EQUAL(core.heap->nclients, 1);
    ga_core_close(&core);
}

/* A free that died between F and the news is told: to the owner, the server, or nobody. */
static void death_of_who_frees(void)
{
    for (int owned = 0; owned < 2; owned++) {
        open_core(0);
        ga_page_id page = ga_core_lease(&core, client, me, CLASS);
        use(page, NSLOTS);
        if (!owned)
            CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
        ga_store_release(&core.view.mcaches[other].telling, page);
        _Atomic uint64_t *f = ga_view_f(&core.view, page, 0);
        ga_store_relaxed(f, ga_load_relaxed(f) ^ 1); /* slot 0 freed; and the end */
        ga_heap_client_gone(core.heap, other_client);
        CU_ASSERT_EQUAL(ga_core_is_in_inbox(&core, me, CLASS, page), owned);
        CU_ASSERT_EQUAL(ga_core_is_pending(&core, page), !owned);
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[other].telling), 0);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* The dead was telling its own span, which is nobody's once it is recovered. */
static void death_telling_itself(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    use(page, 2);
    ga_store_release(&core.view.mcaches[me].telling, page);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT(ga_core_is_pending(&core, page));
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Words that a client filled with nonsense, then died: other clients' spans stay as they are. */
static void nonsense_of_the_dead(void)
{
    open_core(0);
    ga_page_id theirs = ga_core_lease(&core, other_client, other, CLASS);
    CU_ASSERT(ga_core_claim(&core, other, theirs));
    struct ga_slot slot;
    CU_ASSERT_EQUAL(ga_core_malloc(&core, other, CLASS, &slot), 0);
    ga_page_id mine = ga_core_lease(&core, client, me, WIDE);
    use(mine, 2);
    struct ga_mcache *mcache = &core.view.mcaches[me];
    ga_store_relaxed(&mcache->tiny, theirs);
    ga_store_relaxed(&mcache->telling, UINT64_MAX);
    uint64_t a = ga_load_relaxed(&core.view.lines[theirs].a[0]);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[theirs].a[0]), a);
    CU_ASSERT(ga_core_in_use(&core, &slot));
    CU_ASSERT_EQUAL(owner_of(theirs), other);
    slot = ga_core_slot(&core, mine, 1);
    CU_ASSERT(ga_core_in_use(&core, &slot));
    CU_ASSERT_EQUAL(ga_load_relaxed(&mcache->telling), 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* An id comes back clean, and with higher sequences than it had. */
static void ids_are_used_again(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    use(page, 5);
    uint64_t holder = ga_load_relaxed(&core.view.lines[page].holder);
    ga_store_relaxed(&core.view.mcaches[me].telling, page);
    ga_heap_client_gone(core.heap, client);
    ga_client_id heir = ga_core_attach(&core);
    ga_mcache_id again = ga_core_mcache(&core, heir);
    CU_ASSERT_EQUAL_FATAL(again, me);
    const struct ga_mcache *mcache = &core.view.mcaches[again];
    CU_ASSERT_EQUAL(ga_load_relaxed(&mcache->telling), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcache_entries[again].nspans), 0);
    CU_ASSERT_EQUAL(ga_core_lease(&core, heir, again, CLASS), page);
    CU_ASSERT(ga_core_claim(&core, again, page));
    CU_ASSERT(ga_load_relaxed(&core.view.lines[page].holder) >> GA_HOLDER_SEQ_SHIFT > holder >>
              GA_HOLDER_SEQ_SHIFT);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

static bool needs_zeroing(ga_page_id page)
{
    return ga_view_entry(&core.view, page) & GA_ENTRY_NEEDZERO;
}

/* A span of memory that nobody has had says so during its first lease, and never again: neither
 * after a return nor after a death, nor to a server that takes over. A free that saw the entry
 * before is still a free of the same span. */
static void memory_never_had(void)
{
    open_core(0);
    ga_page_id page = ga_core_lease(&core, client, me, CLASS);
    CU_ASSERT_FALSE(needs_zeroing(page));
    use(page, 3);
    struct ga_slot seen = ga_core_slot(&core, page, 1);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    CU_ASSERT(needs_zeroing(page));
    CU_ASSERT(ga_core_free_other(&core, me, &seen));
    CU_ASSERT_EQUAL(ga_core_lease(&core, other_client, other, CLASS), page);
    CU_ASSERT(needs_zeroing(page));

    ga_page_id orphan = ga_core_lease(&core, client, me, CLASS + 2);
    CU_ASSERT_FALSE(needs_zeroing(orphan));
    use(orphan, 2);
    ga_page_id adopted = ga_core_lease(&core, other_client, other, CLASS + 2);
    CU_ASSERT_FALSE(needs_zeroing(adopted));
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT(needs_zeroing(orphan));

    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_FALSE(needs_zeroing(adopted)); /* its first lease goes on */
    CU_ASSERT(needs_zeroing(page));
    ga_heap_client_gone(core.heap, other_client);
    CU_ASSERT_EQUAL(core.heap->nspans_leased, 0);
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    for (int i = 0; i < 4; i++)
        CU_ASSERT(needs_zeroing(ga_core_lease(&core, client, me, CLASS + 2)));
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"arguments", arguments},
        {"grants", grants},
        {"fewer than asked", fewer_than_asked},
        {"fullest first", fullest_first},
        {"freed full spans", freed_full_spans},
        {"returns", returns},
        {"returned empty", returned_empty},
        {"news follow the owner", news_follow_the_owner},
        {"stray pending bits", stray_pending_bits},
        {"death of a holder", death_of_a_holder},
        {"death with empty spans", death_with_empty_spans},
        {"death of who frees", death_of_who_frees},
        {"death telling itself", death_telling_itself},
        {"nonsense of the dead", nonsense_of_the_dead},
        {"ids are used again", ids_are_used_again},
        {"memory never had", memory_never_had},
    };
    return ga_test_main("server.lease", tests, COUNT(tests));
}
