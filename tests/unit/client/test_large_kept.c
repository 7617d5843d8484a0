/* Which of the large spans kept is taken, and which goes back, beside a list in the order in which
 * they were freed that is looked at whole: at random, many of equal lengths, of both classes, with
 * much and with nothing left to spare, and some that are no longer what they were. */
#include "client/large.h"

#include <sys/mman.h>

#include "channel_fixture.h"
#include "client/class_cache.h"
#include "client/mcache.h"
#include "client/roomy.h"
#include "client/spans.h"
#include "support/cunit_main.h"

#define SPANS 128u
#define APART 256u /* pages between the spans' first */
#define STEPS 200000u

static struct goalloc_heap *heap;
static struct ga_thread_cache *cache;
static struct ga_mcache shared;
static ga_page_word page_table[(SPANS + 1) * APART];
static struct ga_span_line lines[(SPANS + 1) * APART];
static bool live[SPANS + 1];
static uint64_t state;

/* The spans kept as they should be, the one freed first in front. */
static struct ga_large_entry kept[GA_LARGE_KEPT_MAX];
static uint32_t nkept;
static uint64_t kept_bytes;

static uint32_t any_below(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static void *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
    return p;
}

static void begin(struct ga_channel *channel, bool is_own)
{
    heap = map(sizeof(*heap));
    heap->channel = channel;
    heap->is_own = is_own;
    heap->view.page_table = page_table;
    heap->view.lines = lines;
    cache = map(sizeof(*cache));
    cache->heap = heap;
    cache->id = 7;
    cache->shared = &shared;
    ga_class_cache_init_all(cache);
    memset(live, 0, sizeof(live));
    nkept = 0;
    kept_bytes = 0;
    state = is_own;
}

static void end(void)
{
    ga_class_cache_fini_all(cache);
    munmap(cache, sizeof(*cache));
    munmap(heap, sizeof(*heap));
}

static void forget(uint32_t index)
{
    kept_bytes -= kept[index].npages * GA_PAGE_SIZE;
    nkept--;
    memmove(&kept[index], &kept[index + 1], (nkept - index) * sizeof(kept[0]));
}

static bool is_kept(ga_page_id page)
{
    uint32_t i = 0;
    while (i < nkept && kept[i].page != page)
        i++;
    return i < nkept;
}

/* A span of the class that is not leased; its object is in use then. */
static void lease(ga_span_class span_class)
{
    uint32_t i = 1 + any_below(SPANS);
    if (live[i] || is_kept(i * APART))
        return;
    uint32_t npages = any_below(2) ? 8 * (1 + any_below(5)) : 1 + any_below(140);
    ga_store_relaxed(&page_table[i * APART],
                     ga_entry_make(span_class, npages, cache->id,
                                   GA_ENTRY_INUSE | GA_ENTRY_FIRST | GA_ENTRY_LARGE));
    lines[i * APART] = (struct ga_span_line){.holder = 0};
    CU_ASSERT_EQUAL_FATAL(ga_spans_reserve(ga_class_cache_get(cache, span_class), 1), 0);
    ga_large_begin_lease(cache, span_class, i * APART);
    live[i] = true;
}

static void free_any(void)
{
    uint32_t i = 1 + any_below(SPANS);
    if (!live[i])
        return;
    ga_page_id page = i * APART;
    uint64_t entry = ga_view_entry(&heap->view, page);
    uint64_t npages = ga_entry_npages(entry);
    uint64_t most = heap->is_own ? GA_LARGE_KEPT_BYTES_OWN : GA_LARGE_KEPT_BYTES_MAX;
    live[i] = false;
    if (npages <= GA_LARGE_NPAGES_LEASED && npages * GA_PAGE_SIZE <= most) {
        while (nkept == GA_LARGE_KEPT_MAX || kept_bytes + npages * GA_PAGE_SIZE > most)
            forget(0);
        kept[nkept++] = (struct ga_large_entry){
            .page = page, .npages = (uint32_t)npages, .span_class = ga_entry_span_class(entry)};
        kept_bytes += npages * GA_PAGE_SIZE;
    }
    ga_store_relaxed(&lines[page].a[0], 0);
    ga_large_freed(cache, ga_entry_span_class(entry), page);
}

static bool may_take(uint64_t span_npages, uint64_t npages, bool grows)
{
    if (span_npages < npages)
        return false;
    return span_npages <= ga_large_longest_fit(npages) ||
           ((grows || span_npages < 2 * npages) && ga_roomy_has_room(cache, span_npages - npages));
}

/* Of those that may be taken the shortest, or for what grows the longest; of equal ones the one
 * freed last. nkept if there is none. */
static uint32_t find(ga_span_class span_class, uint64_t npages, bool grows)
{
    uint32_t best = nkept;
    for (uint32_t i = nkept; i-- > 0;) {
        if (kept[i].span_class != span_class || !may_take(kept[i].npages, npages, grows))
            continue;
        if (best == nkept ||
            (grows ? kept[i].npages > kept[best].npages : kept[i].npages < kept[best].npages))
            best = i;
    }
    return best;
}

static bool is_as_it_was(ga_page_id page)
{
    return ga_mcache_is_mine(cache, page) && ga_load_relaxed(&lines[page].a[0]) == 0;
}

static void take(ga_span_class span_class)
{
    uint64_t npages = any_below(2) ? 8 * (1 + any_below(5)) : 1 + any_below(140);
    bool grows = any_below(2);
    ga_page_id expected = 0;
    for (uint32_t i; expected == 0 && (i = find(span_class, npages, grows)) < nkept; forget(i))
        expected = is_as_it_was(kept[i].page) ? kept[i].page : 0;
    ga_page_id taken = grows ? ga_large_take_longest(cache, span_class, npages)
                             : ga_large_take_kept(cache, span_class, npages);
    CU_ASSERT_EQUAL_FATAL(taken, expected);
    live[taken / APART] = taken != 0;
}

/* The words of a span kept are overwritten: it is another's, or in use. */
static void damage(void)
{
    if (nkept == 0)
        return;
    ga_page_id page = kept[any_below(nkept)].page;
    if (any_below(2))
        ga_store_relaxed(&lines[page].holder, ga_holder_next(0, cache->id + 1u, 0));
    else
        ga_store_relaxed(&lines[page].a[0], 1);
}

static void check_kept(void)
{
    CU_ASSERT_EQUAL_FATAL(cache->large.count, nkept);
    CU_ASSERT_EQUAL(cache->large.bytes, kept_bytes);
    for (uint32_t i = 0; i < nkept; i++) {
        uint32_t at = 0;
        while (at < nkept && cache->large.entry[at].page != kept[i].page)
            at++;
        CU_ASSERT_FATAL(at < nkept);
        CU_ASSERT_EQUAL(cache->large.entry[at].npages, kept[i].npages);
        CU_ASSERT_EQUAL(cache->large.entry[at].span_class, kept[i].span_class);
    }
}

static void step(void)
{
    uint32_t what = any_below(100);
    if (what < 25)
        lease((ga_span_class)any_below(2));
    else if (what < 65)
        free_any();
    else if (what < 98)
        take((ga_span_class)any_below(2));
    else
        damage();
    check_kept();
}

/* nfreed: how many were freed before, so that the count begins anew meanwhile. */
static void at_random(bool is_own, uint32_t nfreed)
{
    struct memory memory;
    struct told told;
    struct ga_channel *channel = open_channel(PATIENT_MS, &memory, &told);
    begin(channel, is_own);
    cache->large.nfreed = nfreed;
    uint32_t most = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        step();
        most = nkept > most ? nkept : most;
    }
    CU_ASSERT(is_own || most == GA_LARGE_KEPT_MAX);
    CU_ASSERT(nfreed == 0 || cache->large.nfreed < nfreed);
    end();
    close_channel(channel);
}

static void shared_heap(void)
{
    at_random(false, UINT32_MAX - STEPS / 8);
}

static void own_heap(void)
{
    at_random(true, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a shared heap", shared_heap},
        {"an own heap", own_heap},
    };
    return ga_test_main("unit.client.large_kept", tests, sizeof(tests) / sizeof(tests[0]));
}
