/* mheap: what a heap commits and when, growth and its limits, spans made and freed, and that a
 * commit which fails anywhere leaves a heap in which the same request then works. */
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
    ga_core_check_sound(&core);
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
        ga_core_check_sound(&core);
        ga_core_close(&core);
        if (done)
            break;
        CU_ASSERT_EQUAL(r, -ENOMEM);
        CU_ASSERT_FATAL(n < 100);
    }
}

/* One span: the heap grows by 128 KiB, page 0 stays nobody's. */
static void first_span(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    uint64_t backed = core.backed_bytes;
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
    CU_ASSERT_EQUAL(core.heap_backed, GA_CORE_MIB / 8);
    CU_ASSERT_EQUAL(core.heap_end, GA_ARENA_SIZE);
    /* 16 entries, 16 lines, 16 pending bits, a set for samples: an OS page each. */
    CU_ASSERT_EQUAL(core.backed_bytes - backed, 4 * GA_OS_PAGE_SIZE);
    ga_core_check_sound(&core);
    /* More than 128 slots a page: its part of the wide plane. */
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 2), 2);
    CU_ASSERT_EQUAL(core.backed_bytes - backed, 5 * GA_OS_PAGE_SIZE);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Growth is 128 KiB, then a 32nd of what there is, at most 4 MiB, never past the limit. */
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
        expected = expected < GA_CORE_MIB / 8 ? GA_CORE_MIB / 8 : expected;
        expected = expected > 4 * GA_CORE_MIB ? 4 * GA_CORE_MIB : expected;
        expected = expected > limit - before ? limit - before : expected;
        CU_ASSERT_EQUAL(step, expected);
        before = core.heap_backed;
        ngrown++;
        ga_core_check_sound(&core);
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
    ga_core_check_sound(&core);
    core.fail_shrink = true;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 70 * GA_CORE_MIB, &page), -ENOMEM);
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 2 && status.arenas_prepared == 2);
    ga_core_check_sound(&core);
    core.fail_above = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 70 * GA_CORE_MIB, &page), 0);
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.arenas_reserved == 2 && status.arenas_ready == 2);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.arenas[0].ready_npages), GA_PAGES_PER_ARENA);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.arenas[1].ready_npages), NPAGES(6) + 1);
    ga_core_check_sound(&core);

    core.fail_extend = true;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 60 * GA_CORE_MIB, &page), -ENOMEM);
    ga_core_check_sound(&core);
    core.fail_extend = false;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 60 * GA_CORE_MIB, &page), 0);
    ga_core_check_sound(&core);
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
    ga_core_check_sound(&core);
    free_large(client, mcache, page);
    /* Nobody has swept yet: who needs pages looks. */
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), 1);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, bytes - 2 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(page, 2);
    ga_core_check_sound(&core);
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
    ga_core_check_sound(&core);
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
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Pending bits on both sides of an OS page's end, committed by the last growth to the limit, which
 * begins just before it: all of them must be there to be touched. */
static void pending_bits_are_backed(void)
{
    /* Pages whose bits lie in the table's last OS page: the words lie backwards. */
    const uint64_t border = 5 * GA_PAGES_PER_ARENA % (GA_OS_PAGE_SIZE * 8);
    ga_core_open(&core, 5 * GA_ARENA_SIZE, (border + 4) * GA_PAGE_SIZE);
    const struct ga_meta_header *meta = core.view.meta;
    uint64_t os_page = ga_geometry_pending(meta, border + 4) / GA_OS_PAGE_SIZE;
    CU_ASSERT_EQUAL(os_page + 1, ga_geometry_pending(meta, border) / GA_OS_PAGE_SIZE);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = 0;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, (border - 2) * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(core.heap_backed, (border - 1) * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 5 * GA_PAGE_SIZE, &page), 0);
    CU_ASSERT_EQUAL(core.heap_backed, (border + 4) * GA_PAGE_SIZE);
    bool backed = core.heap->bits_backing.committed[os_page / 64] >> os_page % 64 & 1;
    CU_ASSERT(backed);
    if (backed)
        ga_core_check_sound(&core);
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
    ga_core_check_sound(&core);
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
            ga_core_check_sound(&core);
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
            ga_core_check_sound(&core);
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
        {"every commit fails once", every_commit_fails_once},
    };
    return ga_test_main("server.mheap", tests, COUNT(tests));
}
