/* Giving memory back: what is released and when, that nobody is ever granted a page without memory
 * (the fixture's audit looks), limits, and a server that ends at any point of it. */
#include <errno.h>
#include <string.h>

#include "server/collect.h"
#include "support/cunit_main.h"

#include "support/core_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  (4 * GA_ARENA_SIZE)
#define NPAGES   4096u /* of the objects that most tests begin with: 32 MiB */
#define EVERY    64u   /* each so long */

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id mcache;
static ga_page_id objects[NPAGES / EVERY];

static ga_page_id alloc(uint64_t npages, bool *ret_zeroed)
{
    ga_page_id page = 0;
    bool zeroed = false;
    int r = ga_core_large_alloc(&core, client, mcache, npages * GA_PAGE_SIZE, true, &page, &zeroed);
    CU_ASSERT(r == 0 || r == -ENOMEM);
    if (ret_zeroed)
        *ret_zeroed = zeroed;
    ga_core_check_sound(&core);
    return r == 0 ? page : 0;
}

static void release_large(ga_page_id page)
{
    ga_core_free_large(&core, client, mcache, page);
    ga_heap_sweep_pending(core.heap);
}

/* A heap of objects side by side, of EVERY pages each. */
static void open_full(uint64_t limit_bytes, uint64_t soft_limit_bytes)
{
    ga_core_init(&core, RESERVE, limit_bytes);
    core.config.soft_limit_bytes = soft_limit_bytes;
    CU_ASSERT_EQUAL_FATAL(ga_core_make(&core), 0);
    client = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, client);
    for (unsigned i = 0; i < COUNT(objects); i++)
        objects[i] = alloc(EVERY, NULL);
}

static void free_objects(unsigned from, unsigned step)
{
    for (unsigned i = from; i < COUNT(objects); i += step)
        release_large(objects[i]);
    ga_core_check_sound(&core);
}

/* Two periods, so that no peak of before counts. */
static void rest(void)
{
    ga_heap_next_period(core.heap);
    ga_heap_next_period(core.heap);
}

/* All that the goals say; and all there is. */
static uint64_t release_surplus(void)
{
    uint64_t released = 0;
    uint64_t n;
    while ((n = ga_core_release(&core)) > 0) {
        CU_ASSERT(n <= GA_RELEASE_NPAGES);
        ga_core_check_sound(&core);
        released += n;
    }
    return released;
}

static uint64_t release_all(void)
{
    uint64_t released = ga_heap_release_now(core.heap, RESERVE);
    ga_core_check_sound(&core);
    return released / GA_PAGE_SIZE;
}

static uint64_t retained(void)
{
    CU_ASSERT_EQUAL(core.heap->npages_committed - ga_core_nholes(&core),
                    ga_scavenge_retained(core.heap));
    return ga_scavenge_retained(core.heap);
}

static void background_goal(void)
{
    open_full(0, 0);
    free_objects(10, 1);
    uint64_t inuse = core.heap->npages_inuse;
    CU_ASSERT_EQUAL(ga_heap_surplus_bytes(core.heap), 0); /* it was in use a moment ago */
    ga_heap_next_period(core.heap);
    CU_ASSERT_EQUAL(ga_heap_surplus_bytes(core.heap), 0);
    ga_heap_next_period(core.heap);
    uint64_t goal = inuse + 128; /* a tenth is less here */
    CU_ASSERT_EQUAL(ga_heap_surplus_bytes(core.heap), (retained() - goal) * GA_PAGE_SIZE);
    uint64_t before = retained();
    CU_ASSERT_EQUAL(release_surplus(), before - goal);
    CU_ASSERT_EQUAL(retained(), goal);
    CU_ASSERT(core.punched[core.heap->npages_committed - 1]); /* the highest first */
    CU_ASSERT(core.punched[goal] && !core.punched[goal - 1]);
    struct ga_heap_stats stats;
    ga_heap_get_stats(core.heap, &stats);
    CU_ASSERT_EQUAL(stats.heap_released_bytes, (before - goal) * GA_PAGE_SIZE);
    CU_ASSERT(stats.heap_released_bytes <= stats.heap_idle_bytes);
    CU_ASSERT_EQUAL(ga_heap_committed_bytes(core.heap, GA_OBJECT_HEAP), goal * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(release_all(), 128 - 1); /* but for page 0 */
    ga_core_close(&core);
}

/* A tenth of what is in use, where that is more. */
static void background_tenth(void)
{
    open_full(0, 0);
    free_objects(0, 2);
    rest();
    release_surplus();
    uint64_t inuse = core.heap->npages_inuse;
    CU_ASSERT_EQUAL(retained(), inuse + inuse / 10);
    ga_core_close(&core);
}

static void taken_again(void)
{
    bool zeroed;
    open_full(0, 0);
    uint64_t extent = core.heap->npages_committed;
    free_objects(0, 1);
    CU_ASSERT_EQUAL(release_all(), extent - 1);
    uint64_t nrecommits = core.nrecommits;
    CU_ASSERT_EQUAL(alloc(100, &zeroed), 1);
    CU_ASSERT(zeroed); /* all of it is new */
    CU_ASSERT_EQUAL(core.nrecommits, nrecommits + 1);
    ga_page_id page = alloc(30, &zeroed);
    release_large(page);
    ga_page_id longer = alloc(50, &zeroed); /* 30 pages that were used, and 20 without memory */
    CU_ASSERT_EQUAL(longer, page);
    CU_ASSERT_FALSE(zeroed);
    CU_ASSERT_EQUAL(core.nrecommitted_whole, 0);
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, 20), page + 50);
    CU_ASSERT_EQUAL(core.heap->npages_committed, extent);
    CU_ASSERT_EQUAL(retained(), core.heap->npages_inuse + 1);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Part of a longer run is taken: the rest stays without memory. */
static void aligned_and_longer(void)
{
    open_full(0, 0);
    free_objects(0, 1);
    release_all();
    ga_page_id page = 0;
    bool zeroed;
    CU_ASSERT_EQUAL(ga_heap_large_alloc(core.heap, client, mcache, 5 * GA_PAGE_SIZE,
                                        64 * GA_PAGE_SIZE, true, &page, &zeroed),
                    0);
    ga_core_take_large(&core, mcache, page);
    CU_ASSERT(page % 64 == 0 && zeroed);
    CU_ASSERT_EQUAL(retained(), 1 + 5);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 200 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(retained(), 1 + 200);
    CU_ASSERT_FALSE(ga_view_entry(&core.view, page) & GA_ENTRY_NEEDZERO);
    core.fail_recommit = true;
    CU_ASSERT_EQUAL(ga_heap_large_resize(core.heap, client, page, 300 * GA_PAGE_SIZE), -ENOMEM);
    CU_ASSERT_EQUAL(retained(), 1 + 200);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Nobody is granted what is being released; and whoever needs it waits for it. */
static void release_under_way(void)
{
    struct ga_page_run runs[GA_RELEASE_RUNS];
    open_full(0, 0);
    free_objects(0, 1);
    rest();
    uint32_t nruns = ga_heap_begin_release(core.heap, runs);
    CU_ASSERT_EQUAL_FATAL(nruns, 1); /* neighbours are one run */
    CU_ASSERT_EQUAL(runs[0].page + runs[0].npages, core.heap->npages_committed);
    CU_ASSERT_EQUAL(ga_heap_begin_release(core.heap, runs), 0);
    CU_ASSERT_EQUAL(retained(), core.heap->npages_committed);
    CU_ASSERT_EQUAL(ga_heap_committed_bytes(core.heap, GA_OBJECT_HEAP),
                    (retained() - runs[0].npages) * GA_PAGE_SIZE);
    ga_core_check_sound(&core);
    ga_page_id page = alloc(core.heap->npages_committed - 1 - runs[0].npages, NULL);
    CU_ASSERT_EQUAL(page, 1);
    CU_ASSERT(alloc(5, NULL) > runs[0].page); /* the heap grows meanwhile */
    core.fail_punch = true;
    ga_core_end_release(&core);
    ga_core_check_sound(&core);
    CU_ASSERT_FALSE(core.punched[runs[0].page]); /* refused, so they are as before */
    CU_ASSERT_EQUAL(alloc(runs[0].npages, NULL), runs[0].page);
    ga_core_close(&core);
}

static void limit_is_on_memory(void)
{
    const uint64_t limit = 40 * GA_CORE_MIB;
    open_full(limit, 0); /* 32 MiB of objects */
    free_objects(0, 2);  /* 16 MiB free, no two runs side by side */
    ga_page_id page = alloc(12 * GA_CORE_MIB / GA_PAGE_SIZE, NULL);
    CU_ASSERT(page != 0 && core.heap->npages_committed * GA_PAGE_SIZE > limit);
    CU_ASSERT(retained() * GA_PAGE_SIZE <= limit);
    CU_ASSERT(core.npunched > 0 && core.nreclaims == 0);
    uint64_t extent = core.heap->npages_committed;
    CU_ASSERT_EQUAL(alloc(13 * GA_CORE_MIB / GA_PAGE_SIZE, NULL), 0); /* 41 MiB in use */
    CU_ASSERT_EQUAL(core.nreclaims, 1);
    CU_ASSERT_EQUAL(core.heap->npages_committed, extent);
    release_large(page);
    page = alloc(13 * GA_CORE_MIB / GA_PAGE_SIZE, NULL);
    CU_ASSERT_NOT_EQUAL(page, 0);
    CU_ASSERT(retained() * GA_PAGE_SIZE <= limit);
    ga_core_close(&core);
}

/* What is being released does not count as gone, and is waited for. */
static void limit_waits(void)
{
    struct ga_page_run runs[GA_RELEASE_RUNS];
    const uint64_t limit = 33 * GA_CORE_MIB;
    open_full(limit, 0);
    free_objects(0, 2);
    rest();
    CU_ASSERT_NOT_EQUAL(ga_heap_begin_release(core.heap, runs), 0);
    ga_page_id page = alloc(16 * GA_CORE_MIB / GA_PAGE_SIZE, NULL);
    CU_ASSERT_NOT_EQUAL(page, 0);
    CU_ASSERT_EQUAL(core.nwaits, 1);
    CU_ASSERT(retained() * GA_PAGE_SIZE <= limit);
    ga_core_close(&core);
}

/* Free memory enough, and addresses, but no run that is long enough. */
static void too_fragmented(void)
{
    open_full(0, 0);
    ga_page_id rest_of_heap = alloc(RESERVE / GA_PAGE_SIZE - core.heap->npages_committed, NULL);
    CU_ASSERT_NOT_EQUAL(rest_of_heap, 0);
    free_objects(0, 2);
    CU_ASSERT(ga_page_alloc_nfree(core.heap->pages) >= NPAGES / 2);
    uint64_t before = core.npunches;
    CU_ASSERT_EQUAL(alloc(2 * EVERY, NULL), 0);
    CU_ASSERT_EQUAL(core.npunches, before); /* nothing would be won */
    CU_ASSERT_NOT_EQUAL(alloc(EVERY, NULL), 0);
    ga_core_close(&core);
}

static void soft_limit(void)
{
    const uint64_t soft = 48 * GA_CORE_MIB;
    open_full(0, soft);
    free_objects(0, 2);
    ga_page_id page = alloc(20 * GA_CORE_MIB / GA_PAGE_SIZE, NULL);
    uint64_t tables = ga_heap_committed_bytes(core.heap, GA_OBJECT_META) +
                      ga_heap_committed_bytes(core.heap, GA_OBJECT_BITS);
    CU_ASSERT(core.npunched > 0);
    CU_ASSERT(retained() * GA_PAGE_SIZE + tables <= soft);
    ga_page_id more = alloc(30 * GA_CORE_MIB / GA_PAGE_SIZE, NULL); /* it is soft */
    CU_ASSERT(page != 0 && more != 0);
    CU_ASSERT_EQUAL(retained(), core.heap->npages_inuse + 1); /* but nothing is spare */
    release_large(more);
    CU_ASSERT(ga_heap_surplus_bytes(core.heap) > 0); /* at once, whatever was in use lately */
    rest();
    release_surplus();
    CU_ASSERT(retained() * GA_PAGE_SIZE + tables <= soft / 100 * 95);
    ga_core_close(&core);
}

/* A heap that has free pages without end, but no run for this: it does not take more and more. */
static void growth_releases(void)
{
    open_full(0, 0);
    free_objects(0, 2);
    rest();
    uint64_t before = retained();
    ga_page_id page = alloc(4 * EVERY, NULL);
    CU_ASSERT_NOT_EQUAL(page, 0);
    CU_ASSERT(retained() <= before); /* it gave up as much as it took */
    ga_core_close(&core);
}

/* Of a huge page that is free as a whole all goes: more than was asked for, which the next growth
 * need not release. */
static void growth_credit(void)
{
    ga_core_init(&core, RESERVE, 0);
    core.config.huge_npages = 256;
    CU_ASSERT_EQUAL_FATAL(ga_core_make(&core), 0);
    client = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, client);
    ga_page_id low = alloc(255 + 1000, NULL); /* with three whole huge pages */
    CU_ASSERT_EQUAL(low, 1);
    CU_ASSERT_NOT_EQUAL(alloc(400, NULL), 0);
    release_large(low);
    rest();
    /* The heap ends with a huge page, 24 pages behind this; of 640 that are too many, the last 128
     * lie in one. */
    CU_ASSERT_NOT_EQUAL(alloc(6000, NULL), 0);
    CU_ASSERT_EQUAL(core.heap->npages_committed, 30 * 256);
    CU_ASSERT_EQUAL(core.npunched, 24 + 232 + 256 + 256);
    CU_ASSERT_EQUAL(core.heap->scavenge.credit_npages, 128);
    ga_core_close(&core);

    open_full(0, 0);
    free_objects(0, 2);
    rest();
    core.heap->scavenge.credit_npages = 3 * EVERY;
    CU_ASSERT_NOT_EQUAL(alloc(4 * EVERY, NULL), 0);
    CU_ASSERT(core.npunched > 0 && core.npunched <= EVERY);
    CU_ASSERT_EQUAL(core.heap->scavenge.credit_npages, 0);
    ga_core_close(&core);
}

/* While a collection marks, no page loses its memory, for the marker may be reading it; what needs
 * that is refused, and to be had when it is over. */
static void none_while_it_is_marked(void)
{
    static const char nothing[1]; /* only pages that are in use would be read */
    const uint64_t limit = 40 * GA_CORE_MIB;
    const uint64_t large = 12 * GA_CORE_MIB / GA_PAGE_SIZE;
    open_full(limit, 0);
    free_objects(0, 2);
    rest();
    CU_ASSERT_NOT_EQUAL(alloc(large, NULL), 0); /* where others gave theirs */
    uint64_t npunched = core.npunched;
    uint64_t before = retained();
    uint64_t holes = ga_core_nholes(&core);
    CU_ASSERT(holes > 0);
    ga_heap_set_memory(core.heap, nothing);
    CU_ASSERT_EQUAL_FATAL(ga_collect_begin(core.heap, GA_COLLECT_ORPHANS), 0);
    struct ga_page_run runs[GA_RELEASE_RUNS];
    CU_ASSERT_EQUAL(ga_heap_begin_release(core.heap, runs), 0);
    CU_ASSERT_EQUAL(release_all(), 0);
    CU_ASSERT_EQUAL(alloc(large - 2 * EVERY, NULL), 0);
    CU_ASSERT_EQUAL(core.npunched, npunched);
    CU_ASSERT_EQUAL(ga_core_nholes(&core), holes);
    CU_ASSERT_EQUAL(retained(), before);
    ga_collect_abandon(core.heap);
    CU_ASSERT_NOT_EQUAL(alloc(large - 2 * EVERY, NULL), 0);
    CU_ASSERT(core.npunched > npunched);
    ga_core_close(&core);
}

/* Of a run of pages with memory and without, those that have it keep it where the others cannot
 * have it again. */
static void no_memory_for_some(void)
{
    open_full(0, 0);
    release_large(objects[1]);
    release_all();
    release_large(objects[0]);
    uint64_t before = retained();
    core.fail_recommit = true;
    CU_ASSERT_EQUAL(alloc(2 * EVERY, NULL), 0);
    CU_ASSERT_EQUAL(retained(), before);
    core.fail_recommit = false;
    CU_ASSERT_EQUAL(alloc(2 * EVERY, NULL), objects[0]);
    CU_ASSERT_EQUAL(retained(), before + EVERY);
    ga_core_close(&core);
}

/* There is no memory in the system: what the heap has and does not use serves; else all is as it
 * was. */
static void no_memory(void)
{
    open_full(0, 0);
    free_objects(0, 1);
    release_all();
    core.fail_recommit = true;
    uint64_t extent = core.heap->npages_committed;
    CU_ASSERT_EQUAL(alloc(20, NULL), 0);
    CU_ASSERT_EQUAL(core.heap->npages_committed, extent);
    CU_ASSERT_EQUAL(retained(), 1);
    core.fail_recommit = false;
    ga_page_id low = alloc(20, NULL);
    ga_page_id wall = alloc(5, NULL);
    ga_page_id high = alloc(20, NULL);
    release_large(low);
    release_large(high);
    core.fail_commit = 1; /* of the 20 pages with memory behind the wall, and 40 without */
    CU_ASSERT_EQUAL(alloc(60, NULL), wall + 5);
    CU_ASSERT_EQUAL(retained(), 1 + 5 + 60); /* those before it gave theirs */
    ga_core_close(&core);
}

/* The pages that were not to be had cannot be punched either: as some are holes, all count as
 * holes. */
static void no_memory_and_no_punch(void)
{
    open_full(0, 0);
    free_objects(0, 1);
    release_all();
    core.fail_recommit = true;
    core.fail_punch = true;
    CU_ASSERT_EQUAL(alloc(20, NULL), 0);
    CU_ASSERT_EQUAL(ga_scavenge_retained(core.heap), 1);
    core.fail_recommit = false;
    bool zeroed = true;
    CU_ASSERT_EQUAL(alloc(20, &zeroed), 1);
    CU_ASSERT_FALSE(zeroed);
    ga_core_close(&core);
}

/* ---- servers that end ---- */

static void adopt(void)
{
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    ga_core_check_sound(&core);
}

static void adopted(void)
{
    open_full(0, 0);
    free_objects(1, 2);
    rest();
    release_surplus();
    uint64_t before = retained();
    adopt();
    CU_ASSERT_EQUAL(retained(), before);
    bool zeroed;
    uint64_t holes = ga_core_nholes(&core);
    CU_ASSERT_NOT_EQUAL(alloc(EVERY - 3, &zeroed), 0);
    for (unsigned i = 0; i < COUNT(objects) / 2 + 5; i++)
        alloc(EVERY - 3, &zeroed);
    CU_ASSERT(ga_core_nholes(&core) < holes);
    ga_core_close(&core);
}

/* The server ends when it has marked pages, and when some of them are punched. */
static void killed_in_a_release(void)
{
    for (unsigned npunched = 0; npunched < 3; npunched++) {
        struct ga_page_run runs[GA_RELEASE_RUNS];
        open_full(0, 0);
        free_objects(1, 2);
        rest();
        uint32_t nruns = ga_heap_begin_release(core.heap, runs);
        CU_ASSERT_FATAL(nruns > 3);
        uint64_t begun = 0;
        for (uint32_t i = 0; i < nruns; i++)
            begun += runs[i].npages;
        for (uint32_t i = 0; i < npunched; i++)
            memset(core.punched + runs[i].page, 1, runs[i].npages);
        adopt();
        CU_ASSERT_EQUAL(ga_core_nholes(&core), begun); /* what was marked is gone now */
        CU_ASSERT_EQUAL(core.heap->scavenge.releasing_npages, 0);
        for (unsigned i = 0; i < 40; i++)
            alloc(EVERY, NULL);
        ga_core_close(&core);
    }
}

/* It ends when memory is there again and no entry says so, or not all entries. */
static void killed_in_a_recommit(void)
{
    for (unsigned nentries = 0; nentries < 3; nentries++) {
        open_full(0, 0);
        free_objects(0, 1);
        release_all();
        memset(core.punched + 1, 0, EVERY);
        for (unsigned i = 0; i < nentries; i++) /* of the pages behind the first */
            ga_store_relaxed(&core.heap->page_table[2 + i],
                             ga_entry_make(1, 1 + i, 0, GA_ENTRY_INUSE | GA_ENTRY_LARGE));
        uint64_t extent = core.heap->npages_committed;
        adopt();
        CU_ASSERT_EQUAL(ga_core_nholes(&core), extent - 1 - nentries);
        CU_ASSERT_EQUAL(alloc(EVERY, NULL), 1);
        ga_core_close(&core);
    }
}

/* What cannot be punched once more is taken for punched, but not for zero. */
static void adopted_without_punching(void)
{
    open_full(0, 0);
    free_objects(0, 1);
    release_all();
    core.fail_punch = true;
    adopt();
    CU_ASSERT_EQUAL(retained(), 1);
    bool zeroed = true;
    CU_ASSERT_EQUAL(alloc(EVERY, &zeroed), 1);
    CU_ASSERT_FALSE(zeroed);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"background, to the goal", background_goal},
        {"background, a tenth is kept", background_tenth},
        {"taken again", taken_again},
        {"aligned and longer", aligned_and_longer},
        {"release under way", release_under_way},
        {"limit is on memory", limit_is_on_memory},
        {"limit waits", limit_waits},
        {"too fragmented", too_fragmented},
        {"soft limit", soft_limit},
        {"growth releases", growth_releases},
        {"growth, credit", growth_credit},
        {"none while it is marked", none_while_it_is_marked},
        {"no memory for some", no_memory_for_some},
        {"no memory", no_memory},
        {"no memory, and no punch", no_memory_and_no_punch},
        {"adopted", adopted},
        {"killed in a release", killed_in_a_release},
        {"killed in a recommit", killed_in_a_recommit},
        {"adopted without punching", adopted_without_punching},
    };
    return ga_test_main("server.scavenge", tests, COUNT(tests));
}
