/* mheap: what a heap commits and when, growth and its limits, spans made and freed, and that a
 * commit which fails anywhere leaves a heap in which the same request then works. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a)    (sizeof(a) / sizeof(*(a)))
#define RESERVE     (4 * GA_ARENA_SIZE)
#define NPAGES(mib) ((mib)*GA_CORE_MIB / GA_PAGE_SIZE)

static struct ga_core core;

static void check_sound(void)
{
    const char *wrong = ga_core_audit(&core);
    if (wrong)
        printf("not true: %s\n", wrong);
    CU_ASSERT_PTR_NULL(wrong);
}

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

/* A new heap has a header, the arena table and the header of bits; nothing of the heap. */
static void new_heap(void)
{
    ga_core_open(&core, RESERVE, 0);
    CU_ASSERT_EQUAL(core.backed_bytes, 3 * GA_OS_PAGE_SIZE);
    CU_ASSERT_EQUAL(core.heap_end, 0);
    CU_ASSERT_EQUAL(core.nextends, 0);
    const struct ga_meta_header *meta = core.view.meta;
    char why[128];
    CU_ASSERT_EQUAL(ga_geometry_check(meta, why, sizeof(why)), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&meta->state), GA_HEAP_LIVE);
    CU_ASSERT_EQUAL(meta->header_bytes, sizeof(*meta));
    CU_ASSERT_EQUAL(meta->heap_id, 0x1234);
    CU_ASSERT_EQUAL(meta->generation, 1);
    CU_ASSERT_EQUAL(meta->created_ms, 5000000);
    CU_ASSERT_EQUAL(meta->base, GA_CORE_BASE);
    CU_ASSERT_EQUAL(meta->limit_bytes, RESERVE);
    CU_ASSERT_EQUAL(ga_load_relaxed(&meta->committed_npages), 0);
    CU_ASSERT_STRING_EQUAL(meta->name, "core");
    const struct ga_bits_header *bits = (const void *)core.objects[GA_OBJECT_BITS];
    CU_ASSERT(bits->magic == GA_BITS_MAGIC && bits->heap_id == 0x1234 &&
              bits->layout_version == GA_LAYOUT_VERSION && bits->header_bytes == sizeof(*bits));
    check_sound();
    ga_heap_end(core.heap);
    CU_ASSERT_EQUAL(ga_load_relaxed(&meta->state), GA_HEAP_ENDED);
    ga_core_close(&core);
    ga_heap_free(NULL);
}

static void bad_configurations(void)
{
    ga_core_init(&core, RESERVE, 0);
    const struct ga_heap_config good = core.config;
    struct ga_heap_config bad[11];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].name = "a/b";
    bad[1].name = "";
    bad[2].base = 0;
    bad[3].base = GA_CORE_BASE + GA_PAGE_SIZE;
    bad[4].reserve_bytes = 0;
    bad[5].reserve_bytes = RESERVE + GA_PAGE_SIZE;
    bad[6].reserve_bytes = GA_RESERVE_MAX + GA_ARENA_SIZE;
    bad[7].limit_bytes = RESERVE + GA_PAGE_SIZE;
    bad[8].limit_bytes = GA_PAGE_SIZE + 1;
    bad[9].limit_bytes = GA_OS_PAGE_SIZE;
    bad[10].limit_bytes = UINT64_MAX;
    for (size_t i = 0; i < COUNT(bad); i++) {
        core.config = bad[i];
        CU_ASSERT_EQUAL(ga_core_make(&core), -EINVAL);
        CU_ASSERT_PTR_NULL(core.heap);
    }
    CU_ASSERT_EQUAL(core.ncommits, 0);
    core.config = good;
    ga_core_close(&core);
}

/* Each commit of a new heap fails once; then the heap can be made in the same objects. */
static void making_fails(void)
{
    for (uint64_t n = 1;; n++) {
        ga_core_init(&core, RESERVE, 0);
        core.fail_commit = n;
        int r = ga_core_make(&core);
        bool done = core.fail_commit != 0;
        if (r < 0) {
            CU_ASSERT_EQUAL(r, -ENOMEM);
            CU_ASSERT_PTR_NULL(core.heap);
            core.backed_bytes = 0; /* the next heap's books begin anew */
            CU_ASSERT_EQUAL(ga_core_make(&core), 0);
        }
        check_sound();
        ga_core_close(&core);
        if (done)
            break;
        CU_ASSERT_EQUAL(r, -ENOMEM);
        CU_ASSERT_FATAL(n < 100);
    }
}

/* One span: the heap grows by 256 KiB, page 0 stays nobody's. */
static void first_span(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    uint64_t backed = core.backed_bytes;
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
    CU_ASSERT_EQUAL(core.heap_backed, GA_CORE_MIB / 4);
    CU_ASSERT_EQUAL(core.heap_end, GA_ARENA_SIZE);
    /* 32 entries, 32 lines, 32 pending bits: an OS page each. */
    CU_ASSERT_EQUAL(core.backed_bytes - backed, 3 * GA_OS_PAGE_SIZE);
    check_sound();
    /* More than 128 slots a page: its part of the wide plane. */
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 2), 2);
    CU_ASSERT_EQUAL(core.backed_bytes - backed, 4 * GA_OS_PAGE_SIZE);
    check_sound();
    ga_core_close(&core);
}

/* Growth is 256 KiB, then a 32nd of what there is, at most 4 MiB, never past the limit. */
static void growth_steps(void)
{
    const uint64_t limit = 3 * GA_ARENA_SIZE + 5 * GA_PAGE_SIZE;
    ga_core_open(&core, RESERVE, limit);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    uint64_t before = 0;
    ga_page_id page = 0;
    unsigned ngrown = 0;
    int r;
    while ((r = alloc_large(client, mcache, 100 * 1024, &page)) == 0) {
        CU_ASSERT_NOT_EQUAL(page, 0);
        uint64_t step = core.heap_backed - before;
        if (step == 0)
            continue;
        uint64_t expected = before / 32 / GA_PAGE_SIZE * GA_PAGE_SIZE;
        expected = expected < GA_CORE_MIB / 4 ? GA_CORE_MIB / 4 : expected;
        expected = expected > 4 * GA_CORE_MIB ? 4 * GA_CORE_MIB : expected;
        expected = expected > limit - before ? limit - before : expected;
        CU_ASSERT_EQUAL(step, expected);
        before = core.heap_backed;
        ngrown++;
        check_sound();
    }
    CU_ASSERT_EQUAL(r, -ENOMEM);
    CU_ASSERT(ngrown > 20);
    CU_ASSERT_EQUAL(core.heap_backed, limit);
    CU_ASSERT_EQUAL(core.nreclaims, 1);
    ga_core_close(&core);
}

/* None, Reserved, Prepared, Ready: a large object makes an arena ready and prepares what it ends
 * in; a commit that fails leaves it prepared. (The audit compares every arena.) */
static void arenas(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 4 && status.arenas_prepared + status.arenas_ready == 0);

    ga_page_id page = 0;
    core.fail_above = 1;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 70 * GA_CORE_MIB, &page), -ENOMEM);
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 4 && status.arenas_prepared == 0);
    check_sound();
    core.fail_shrink = true;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 70 * GA_CORE_MIB, &page), -ENOMEM);
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 2 && status.arenas_prepared == 2);
    check_sound();
    core.fail_above = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 70 * GA_CORE_MIB, &page), 0);
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 2 && status.arenas_ready == 2);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.arenas[0].ready_npages), GA_PAGES_PER_ARENA);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.arenas[1].ready_npages), NPAGES(6) + 1);
    check_sound();

    core.fail_extend = true;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 60 * GA_CORE_MIB, &page), -ENOMEM);
    check_sound();
    core.fail_extend = false;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 60 * GA_CORE_MIB, &page), 0);
    check_sound();
    ga_core_close(&core);
}

/* At the limit nothing more is to be had, and after a free it is; the last page can be used. */
static void limit(void)
{
    const uint64_t bytes = 40 * GA_PAGE_SIZE;
    ga_core_open(&core, RESERVE, bytes);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, UINT64_MAX, &page), -ENOMEM);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, bytes + 1, &page), -ENOMEM);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, bytes, &page), -ENOMEM); /* page 0 */
    CU_ASSERT_EQUAL(page, 0);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, bytes - GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(page, 1);
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 0);
    check_sound();
    free_large(client, mcache, page);
    /* Nobody has swept yet: who needs pages looks. */
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
    check_sound();
    CU_ASSERT_EQUAL(alloc_large(client, mcache, bytes - 2 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(page, 2);
    check_sound();
    ga_core_close(&core);
}

/* The free pages at the end of the heap count for what is to come. */
static void growth_uses_the_tail(void)
{
    ga_core_open(&core, RESERVE, 3 * GA_CORE_MIB);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 3 * GA_CORE_MIB - 2 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(page, 2);
    check_sound();
    ga_core_close(&core);
}

/* When a whole step is not to be had, what is needed is. */
static void growth_by_need(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    core.fail_above = 7 * GA_PAGE_SIZE;
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 6 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT(page == 1 && core.heap_backed == 7 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 7);
    CU_ASSERT_EQUAL(core.heap_backed, 8 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 8 * GA_PAGE_SIZE, &page), -ENOMEM);
    check_sound();
    ga_core_close(&core);
}

/* Pending bits on both sides of an OS page's end, committed by the last growth to the limit, which
 * begins just before it: all of them must be there to be touched. */
static void pending_bits_are_backed(void)
{
    const uint64_t border = GA_OS_PAGE_SIZE * 8; /* pages in an OS page of pending bits */
    ga_core_open(&core, 5 * GA_ARENA_SIZE, (border + 4) * GA_PAGE_SIZE);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, (border - 2) * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(core.heap_backed, (border - 1) * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 5 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(core.heap_backed, (border + 4) * GA_PAGE_SIZE);
    uint64_t last = (border + 3) / 8; /* byte of the last page's bit */
    uint64_t os_page = (core.view.meta->bits_pending_offset + last) / GA_OS_PAGE_SIZE;
    bool backed = core.heap->bits_backing.committed[os_page / 64] >> os_page % 64 & 1;
    CU_ASSERT(backed);
    if (backed)
        check_sound();
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
    check_sound();
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 101 * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 90 * GA_PAGE_SIZE + 1), 0);
    CU_ASSERT_EQUAL(ga_entry_npages(ga_view_entry(&core.view, page)), 91);
    check_sound();
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), page + 91);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 92 * GA_PAGE_SIZE), -ENOMEM);
    /* Up to the committed end. */
    uint64_t end = core.heap->npages_committed;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, (end - next) * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(core.heap->zeroed_from, end);
    check_sound();
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, UINT64_MAX), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, GA_SMALL_MAX), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page + 1, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page + 91, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, UINT32_MAX, 50000), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client + 1, page, 50000), -EPERM);
    free_large(client, mcache, next);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, next, 50000), -EINVAL);
    ga_heap_sweep_pending(core.heap);
    check_sound();
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
    check_sound();
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
    check_sound();
    /* With room elsewhere, it had better move there. */
    free_large(client, mcache, first);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, 1000 * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, 1001 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, last, most * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(core.heap_backed, 64 * GA_CORE_MIB);
    check_sound();
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
            check_sound();
        }
        uint64_t inuse = core.heap->npages_inuse;
        free_large(client, mcache, pages[0]);
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT(core.heap->npages_inuse < inuse);
        check_sound();
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
        check_sound();
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
        check_sound();
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
    check_sound();
    ga_heap_sweep_pending(core.heap); /* the bit that was left */
    check_sound();
    ga_core_close(&core);
}

/* A run is known to be zero only where no page of it was ever handed out. */
static void zeroed_memory(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id pages[3];
    bool zeroed = false;
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, mcache, 40000, i, &pages[i], &zeroed),
                        0);
        CU_ASSERT(zeroed);
        uint64_t entry = ga_view_entry(&core.view, pages[i]);
        CU_ASSERT_EQUAL(entry & GA_ENTRY_NEEDZERO, 0);
        CU_ASSERT_EQUAL(ga_entry_span_class(entry), i);
        CU_ASSERT_EQUAL(ga_entry_npages(entry), 5);
    }
    free_large(client, mcache, pages[1]);
    ga_heap_sweep_pending(core.heap);
    /* Five used pages and one that never was. */
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 6 * GA_PAGE_SIZE, true, &pages[2], &zeroed), 0);
    CU_ASSERT_EQUAL(pages[2], pages[1]);
    CU_ASSERT_FALSE(zeroed);
    CU_ASSERT_EQUAL(ga_view_entry(&core.view, pages[2]) & GA_ENTRY_NEEDZERO, GA_ENTRY_NEEDZERO);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 6 * GA_PAGE_SIZE, true, &pages[2], &zeroed), 0);
    CU_ASSERT(zeroed);
    check_sound();
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
        check_sound();
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
        check_sound();
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
        check_sound();
        free_large(client, other, left);
        CU_ASSERT(ga_core_is_pending(&core, left));
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        check_sound();
    }
    ga_core_close(&core);
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
        check_sound();
        CU_ASSERT(ga_core_free_other(&core, mcache, &slot));
        CU_ASSERT(ga_core_is_pending(&core, page));
        CU_ASSERT_FALSE(ga_core_free_other(&core, mcache, &slot));
        CU_ASSERT_EQUAL(core.heap->nspans, 1);
        ga_heap_sweep_pending(core.heap);
        CU_ASSERT_FALSE(ga_core_is_pending(&core, page));
        CU_ASSERT_EQUAL(core.heap->nspans, 0);
        CU_ASSERT_FALSE(ga_entry_is_span(ga_view_entry(&core.view, page)));
        check_sound();
    }
    /* A client's end makes its large objects nobody's, and leaves them. */
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 2 * GA_CORE_MIB, &page), 0);
    mcache = ga_core_mcache(&core, other);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, page + 1)), 0);
    check_sound();
    free_large(client, mcache, page);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    check_sound();
    ga_core_close(&core);
}

/* A commit fails at every place there is, one after the other: the request says so and changes
 * nothing that the audit sees, and the same request then works. */
static void every_commit_fails_once(void)
{
    static const ga_span_class classes[] = {2, 3, 7, 20, 60, 135};
    unsigned nfailed = 0;
    for (uint64_t n = 1; n < 60; n++) {
        ga_core_open(&core, RESERVE, 0);
        core.fail_commit = n;
        ga_client_id client = 0;
        ga_mcache_id mcache = 0;
        int r;
        while ((r = ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client)) < 0)
            CU_ASSERT_EQUAL(r, -ENOMEM);
        while ((r = ga_heap_new_mcache(core.heap, client, &mcache)) < 0) {
            CU_ASSERT_EQUAL(r, -ENOMEM);
            CU_ASSERT_EQUAL(mcache, 0);
            check_sound();
        }
        for (unsigned i = 0; i < 40; i++) {
            ga_page_id page = 0;
            bool large = i % 4 == 3;
            ga_span_class class = classes[i % COUNT(classes)];
            uint64_t nspans = core.heap->nspans;
            for (int attempt = 0; page == 0 && attempt < 2; attempt++) {
                if (large)
                    alloc_large(client, mcache, 300 * 1024 + i, &page);
                else
                    page = ga_core_lease(&core, client, mcache, class);
                nfailed += page == 0;
                CU_ASSERT_EQUAL(core.heap->nspans, nspans + (page != 0));
            }
            CU_ASSERT_NOT_EQUAL(page, 0);
            check_sound();
        }
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "r", GA_PAGE_SIZE) == 0 ||
                            ga_heap_publish(core.heap, client, "r", GA_PAGE_SIZE) == 0,
                        1);
        bool done = core.fail_commit != 0;
        ga_core_close(&core);
        if (done)
            break;
        CU_ASSERT_NOT_EQUAL(n, 59);
    }
    CU_ASSERT(nfailed > 5);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"new heap", new_heap},
        {"bad configurations", bad_configurations},
        {"making fails", making_fails},
        {"first span", first_span},
        {"growth steps", growth_steps},
        {"arenas", arenas},
        {"limit", limit},
        {"growth uses the tail", growth_uses_the_tail},
        {"growth by need", growth_by_need},
        {"pending bits are backed", pending_bits_are_backed},
        {"zeroed memory", zeroed_memory},
        {"large objects", large_objects},
        {"leased large objects", leased_large_objects},
        {"resized spans", resized_spans},
        {"resized by growth", resized_by_growth},
        {"aligned spans", aligned_spans},
        {"aligned near the limit", aligned_near_the_limit},
        {"large grants of the gone", large_grants_of_the_gone},
        {"every commit fails once", every_commit_fails_once},
    };
    return ga_test_main("server.mheap", tests, COUNT(tests));
}
