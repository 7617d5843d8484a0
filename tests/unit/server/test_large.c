/* Large spans: made for their length and alignment, granted and leased, grown and shrunk where they
 * lie, and freed. */
#include "support/core_fixture.h"

#include <errno.h>

#include "support/cunit_main.h"

#define COUNT(a)    (sizeof(a) / sizeof(*(a)))
#define RESERVE     (4 * GA_ARENA_SIZE)
#define NPAGES(mib) ((mib)*GA_CORE_MIB / GA_PAGE_SIZE)

static struct ga_core core;

static int alloc_large(ga_client_id client, ga_mcache_id mcache, uint64_t bytes,
                       ga_page_id *ret_page)
{
    bool zeroed;
    return ga_core_large_alloc(&core, client, mcache, bytes, false, ret_page, &zeroed);
}

static void free_large(ga_client_id client, ga_mcache_id mcache, ga_page_id page)
{
    ga_core_free_large(&core, client, mcache, page);
}

/* A larger object: in use at once, freed by the pending bit, gone with the sweep; its entries. */
static void large_objects(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_client_id other = ga_core_attach(&core);
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, GA_SMALL_MAX, &page), -EINVAL);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 0, &page), -EINVAL);
    CU_ASSERT_EQUAL(alloc_large(other, mcache, 40000, &page), -EPERM);
    CU_ASSERT_EQUAL(alloc_large(client, 0, 40000, &page), -EPERM);
    CU_ASSERT_EQUAL(alloc_large(client, mcache + 1, 40000, &page), -EPERM);
    CU_ASSERT_EQUAL(page, 0);
    for (int round = 0; round < 4; round++) { /* either value of the bits */
        CU_ASSERT_EQUAL(alloc_large(client, mcache, GA_CORE_MIB + 1, &page), 0);
        struct ga_slot slot = ga_core_slot(&core, page, 0);
        CU_ASSERT_EQUAL(ga_entry_owner(slot.entry), 0);
        CU_ASSERT(ga_entry_is_span(slot.entry) && (slot.entry & GA_ENTRY_LARGE));
        CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, page + 1)), client + 1);
        CU_ASSERT(ga_core_in_use(&core, &slot));
        ga_core_check_sound(&core);
        CU_ASSERT(ga_core_free_other(&core, mcache, &slot));
        CU_ASSERT(ga_core_is_pending(&core, page));
        CU_ASSERT_FALSE(ga_core_free_other(&core, mcache, &slot));
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT_FALSE(ga_core_is_pending(&core, page));
        CU_ASSERT_EQUAL(core.heap->nspans, 0);
        CU_ASSERT_FALSE(ga_entry_is_span(ga_view_entry(&core.view, page)));
        ga_core_check_sound(&core);
    }
    /* A client's end makes its large objects nobody's, and leaves them. */
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 2 * GA_CORE_MIB, &page), 0);
    mcache = ga_core_mcache(&core, other);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, page + 1)), 0);
    ga_core_check_sound(&core);
    free_large(client, mcache, page);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* A large object of a megabyte at most: its span is leased, freed as every slot is, and goes when
 * its holder gives it back, or when nobody holds it any more. */
static void leased_large_objects(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_mcache_id other = ga_core_mcache(&core, ga_core_attach(&core));
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, GA_CORE_MIB + 1, &page), 0);
    CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, page)), 0);
    for (int round = 0; round < 4; round++) { /* either value of the bits */
        CU_ASSERT_EQUAL(alloc_large(client, mcache, GA_CORE_MIB, &page), 0);
        struct ga_slot slot = ga_core_slot(&core, page, 0);
        CU_ASSERT_EQUAL(ga_entry_owner(slot.entry), mcache);
        CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, page + 1)), 0);
        CU_ASSERT(ga_core_in_use(&core, &slot));
        ga_core_check_sound(&core);
        CU_ASSERT(ga_core_free_other(&core, other, &slot));
        CU_ASSERT_FALSE(ga_core_is_pending(&core, page));
        CU_ASSERT(ga_core_is_in_inbox(&core, mcache, 0, page));
        CU_ASSERT_FALSE(ga_core_free_other(&core, other, &slot));
        CU_ASSERT_FALSE(ga_core_free_own(&core, mcache, &slot));
        if (round % 2) { /* used once more */
            ga_slot_take_leased_large(&core.view, page);
            CU_ASSERT(ga_core_in_use(&core, &slot));
            CU_ASSERT(ga_core_free_own(&core, mcache, &slot));
        }
        CU_ASSERT_EQUAL(core.heap->nspans, 2);
        CU_ASSERT_EQUAL(ga_core_return(&core, client, mcache, page), 0);
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        ga_core_check_sound(&core);
    }
    /* In use when its holder goes: freed by others, through the pending bit. */
    for (int round = 0; round < 2; round++) {
        ga_page_id left = 0;
        ga_page_id freed = 0;
        client = ga_core_attach(&core);
        mcache = ga_core_mcache(&core, client);
        CU_ASSERT_EQUAL(alloc_large(client, mcache, 100000, &left), 0);
        CU_ASSERT_EQUAL(alloc_large(client, mcache, 100000, &freed), 0);
        struct ga_slot slot = ga_core_slot(&core, left, 0);
        if (round == 1) { /* A is 0 in use */
            CU_ASSERT(ga_core_free_other(&core, other, &slot));
            ga_slot_take_leased_large(&core.view, left);
        }
        free_large(client, other, freed);
        ga_heap_client_gone(core.heap, client);
        CU_ASSERT_EQUAL(core.heap->nspans, 2);
        CU_ASSERT_EQUAL(core.heap->mspans[left].place, GA_SPAN_LARGE);
        CU_ASSERT(ga_core_in_use(&core, &slot));
        ga_core_check_sound(&core);
        free_large(client, other, left);
        CU_ASSERT(ga_core_is_pending(&core, left));
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        ga_core_check_sound(&core);
    }
    ga_core_close(&core);
}

/* A large span gives its tail back, and takes it again; not past what is in use or committed. */
static void resized_spans(void)
{
    ga_core_open(&core, RESERVE, 64 * GA_CORE_MIB);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = 0;
    ga_page_id next = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 100 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 8 * GA_PAGE_SIZE, &next), 0);
    CU_ASSERT_EQUAL(next, page + 100);
    uint64_t nfree = ga_page_alloc_nfree(core.heap->pages);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 10 * GA_PAGE_SIZE - 1), 0);
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(core.heap->pages), nfree + 90);
    CU_ASSERT_EQUAL(ga_entry_npages(ga_view_entry(&core.view, page)), 10);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 101 * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 90 * GA_PAGE_SIZE + 1), 0);
    CU_ASSERT_EQUAL(ga_entry_npages(ga_view_entry(&core.view, page)), 91);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), page + 91);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 92 * GA_PAGE_SIZE), -ENOMEM);
    /* Up to the committed end. */
    uint64_t end = core.heap->npages_committed;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, (end - next) * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(core.heap->zeroed_from, end);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, UINT64_MAX), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, GA_SMALL_MAX), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page + 1, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page + 91, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, UINT32_MAX, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client + 1, page, 50000), -EPERM);
    free_large(client, mcache, next);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, 50000), -EINVAL);
    ga_heap_sweep_pending(core.heap);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* The heap's last span may be made longer by growth; not where there is room for it elsewhere. */
static void resized_by_growth(void)
{
    ga_core_open(&core, RESERVE, 64 * GA_CORE_MIB);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id first = 0;
    ga_page_id last = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 1000 * GA_PAGE_SIZE, &first), 0);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 200 * GA_PAGE_SIZE, &last), 0);
    CU_ASSERT_EQUAL(last, first + 1000);
    uint64_t end = core.heap->npages_committed;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, 500 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(ga_entry_npages(ga_view_entry(&core.view, last)), 500);
    CU_ASSERT(core.heap->npages_committed > end);
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(core.heap->pages),
                    core.heap->npages_committed - last - 500);
    ga_core_check_sound(&core);
    /* What is not its last is not. */
    end = core.heap->npages_committed;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, first, 1001 * GA_PAGE_SIZE), -ENOMEM);
    /* To the limit and no further, and as it was where there is no memory. */
    uint64_t most = 64 * GA_CORE_MIB / GA_PAGE_SIZE - last;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, (most + 1) * GA_PAGE_SIZE),
                    -ENOMEM);
    core.fail_commit = 1;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, most * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(core.heap->npages_committed, end);
    CU_ASSERT_EQUAL(ga_entry_npages(ga_view_entry(&core.view, last)), 500);
    ga_core_check_sound(&core);
    /* With room elsewhere, it had better move there. */
    free_large(client, mcache, first);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, 1000 * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, 1001 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, most * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(core.heap_backed, 64 * GA_CORE_MIB);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Every alignment there is: the address is a multiple of it, and what is not needed is free again.
 */
static void aligned_spans(void)
{
    const uint64_t narenas = 48; /* 3 GiB */
    for (uint64_t alignment = 1; alignment <= GA_ALIGNMENT_MAX; alignment *= 2) {
        ga_core_open(&core, narenas * GA_ARENA_SIZE, 0);
        ga_client_id client = ga_core_attach(&core);
        ga_mcache_id mcache = ga_core_mcache(&core, client);
        ga_page_id pages[4];
        ga_page_id small = ga_core_lease(&core, client, mcache, 20);
        CU_ASSERT_NOT_EQUAL(small, 0);
        for (size_t i = 0; i < COUNT(pages); i++) {
            uint64_t bytes = alignment > GA_PAGE_SIZE ? 1 + i * 12345 : 40000 + i;
            bool zeroed;
            if (alignment == GA_ALIGNMENT_MAX && i > 0)
                break; /* there is room for one */
            CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, mcache, bytes, alignment, true,
                                                &pages[i], &zeroed),
                            0);
            CU_ASSERT_EQUAL((GA_CORE_BASE + pages[i] * GA_PAGE_SIZE) % alignment, 0);
            uint64_t entry = ga_view_entry(&core.view, pages[i]);
            CU_ASSERT(ga_entry_npages(entry) * GA_PAGE_SIZE >= bytes);
            CU_ASSERT(ga_entry_npages(entry) >= GA_LARGE_NPAGES_MIN);
            CU_ASSERT(ga_entry_npages(entry) <= 6);
            ga_core_take_large(&core, mcache, pages[i]);
            ga_core_check_sound(&core);
        }
        uint64_t inuse = core.heap->npages_inuse;
        free_large(client, mcache, pages[0]);
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT(core.heap->npages_inuse < inuse);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* Near the limit: the run that alignment needs fits exactly, or by one page not. */
static void aligned_near_the_limit(void)
{
    const uint64_t align = 64; /* pages */
    for (uint64_t short_by = 0; short_by < 2; short_by++) {
        uint64_t limit = (1 + 100 + align - 1 - short_by) * GA_PAGE_SIZE;
        ga_core_open(&core, RESERVE, limit);
        ga_client_id client = ga_core_attach(&core);
        ga_mcache_id mcache = ga_core_mcache(&core, client);
        ga_page_id page = 77;
        bool zeroed;
        int r = ga_heap_large_alloc(core.heap, client, mcache, 100 * GA_PAGE_SIZE,
                                    align * GA_PAGE_SIZE, false, &page, &zeroed);
        CU_ASSERT_EQUAL(r, short_by ? -ENOMEM : 0);
        CU_ASSERT_EQUAL(page, short_by ? 77 : align);
        CU_ASSERT_EQUAL(ga_page_alloc_nfree(core.heap->pages), short_by ? 0 : align - 1);
        ga_core_check_sound(&core);
        /* What was left out before it serves others. */
        if (!short_by)
            CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
        static const uint64_t bad[] = {3, GA_PAGE_SIZE + 1, 2 * GA_ALIGNMENT_MAX, UINT64_MAX};
        for (size_t i = 0; i < COUNT(bad); i++)
            CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, mcache, 50000, bad[i], false,
                                                &page, &zeroed),
                            -EINVAL);
        CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, mcache, GA_SMALL_MAX, GA_PAGE_SIZE,
                                            false, &page, &zeroed),
                        -EINVAL);
        ga_core_check_sound(&core);
        ga_core_close(&core);
    }
}

/* A client goes that was granted large spans: what it never took, and what somebody freed but
 * nobody has swept, falls back; an object stays. */
static void large_grants_of_the_gone(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_mcache_id other = ga_core_mcache(&core, ga_core_attach(&core));
    ga_page_id taken = 0;
    ga_page_id freed = 0;
    ga_page_id granted = 0;
    bool zeroed;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 2 * GA_CORE_MIB, &taken), 0);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 2 * GA_CORE_MIB, &freed), 0);
    CU_ASSERT_EQUAL(
        ga_heap_large_alloc(core.heap, client, mcache, 2 * GA_CORE_MIB, 0, true, &granted, &zeroed),
        0);
    struct ga_slot slot = ga_core_slot(&core, granted, 0);
    CU_ASSERT_FALSE(ga_core_in_use(&core, &slot));
    CU_ASSERT_FALSE(ga_core_free_other(&core, other, &slot));
    /* News of it change nothing: it may be taken any moment. */
    ga_slot_tell(&core.view, granted);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->nspans, 3);
    free_large(client, other, freed);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    slot = ga_core_slot(&core, taken, 0);
    CU_ASSERT(ga_core_in_use(&core, &slot));
    ga_core_check_sound(&core);
    ga_heap_sweep_pending(core.heap); /* the bit that was left */
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"large objects", large_objects},
        {"leased large objects", leased_large_objects},
        {"resized spans", resized_spans},
        {"resized by growth", resized_by_growth},
        {"aligned spans", aligned_spans},
        {"aligned near the limit", aligned_near_the_limit},
        {"large grants of the gone", large_grants_of_the_gone},
    };
    return ga_test_main("server.large", tests, COUNT(tests));
}
