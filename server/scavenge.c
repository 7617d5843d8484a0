/* Giving memory back. Free pages are taken out of the page allocator, so that nobody is granted
 * them; marked in the page table, so that a server that takes the heap over knows that they may
 * have no memory; punched; and then they are free again, and scavenged. Whoever takes scavenged
 * pages has them committed again, and then unmarked, before they are a span's. So at every
 * instruction a page of a span has memory, and a page that may have none is marked.
 *
 * In the background this is done by the shell, in batches (ga_heap_begin_release), while more is
 * retained than the goals allow: a tenth, and a little, over what was in use at most of late; and
 * 95 % of the soft limit. Under a limit it is done at once (ga_scavenge_now).
 *
 * A peak of two periods takes the place of Go's last collection: what is freed and soon allocated
 * again is not worth giving back. */
#include "server/scavenge.h"

#include <errno.h>

#include "server/collect.h"
#include "server/heap_internal.h"

#define GOAL_PART     10u  /* of what is in use, that is kept free */
#define GOAL_MIN      128u /* pages kept free: what a heap grows by, a few times */
#define SOFT_PERCENT  95u  /* of the soft limit, is the background's goal */
#define CHUNK_NPAGES  GA_RELEASE_NPAGES
#define COARSE_NPAGES 8u /* of huge pages no less than 64 KiB is cut off */

void ga_scavenge_init(struct ga_scavenge *scavenge, const struct ga_heap_config *config)
{
    unsigned huge = config->huge_npages ? config->huge_npages : 1;
    *scavenge = (struct ga_scavenge){
        .soft_limit_bytes = config->soft_limit_bytes,
        .background = {.min_npages = huge > 1 ? COARSE_NPAGES : 1, .huge_npages = huge},
        .forced = {.min_npages = 1, .huge_npages = huge},
    };
}

uint64_t ga_scavenge_retained(const struct ga_heap *heap)
{
    return heap->npages_committed - ga_page_alloc_nscavenged(heap->pages);
}

/* ---- goals ---- */

/* Pages that may be retained under the soft limit, up to percent of it, beside what the tables
 * take. */
static uint64_t soft_goal(const struct ga_heap *heap, unsigned percent)
{
    uint64_t limit = heap->scavenge.soft_limit_bytes;
    uint64_t tables = ga_backing_bytes(&heap->meta_backing) + ga_backing_bytes(&heap->bits_backing);
    if (limit == 0)
        return UINT64_MAX;
    limit = limit / 100 * percent;
    return limit > tables ? (limit - tables) / GA_PAGE_SIZE : 0;
}

static uint64_t usual_goal(const struct ga_heap *heap)
{
    const struct ga_scavenge *scavenge = &heap->scavenge;
    uint64_t peak = scavenge->peak_npages > scavenge->last_peak_npages ? scavenge->peak_npages
                                                                       : scavenge->last_peak_npages;
    uint64_t spare = peak / GOAL_PART;
    /* What it has just grown by must not go at once. */
    uint64_t least = 2 * (uint64_t)scavenge->forced.huge_npages;
    least = least > GOAL_MIN ? least : GOAL_MIN;
    return peak + (spare > least ? spare : least);
}

uint64_t ga_heap_surplus_bytes(const struct ga_heap *heap)
{
    uint64_t goal = usual_goal(heap);
    uint64_t soft = soft_goal(heap, SOFT_PERCENT);
    uint64_t retained = ga_scavenge_retained(heap) - heap->scavenge.releasing_npages;
    goal = soft < goal ? soft : goal;
    return retained > goal ? (retained - goal) * GA_PAGE_SIZE : 0;
}

void ga_heap_next_period(struct ga_heap *heap)
{
    heap->scavenge.last_peak_npages = heap->scavenge.peak_npages;
    heap->scavenge.peak_npages = heap->npages_inuse;
    heap->scavenge.credit_npages = 0;
    ga_page_alloc_next_generation(heap->pages);
}

/* ---- one release ---- */

/* Before their memory goes. */
static void mark(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    for (uint64_t i = 0; i < npages; i++)
        ga_store_release(&heap->page_table[page + i], GA_ENTRY_SCAVENGED);
}

void ga_scavenge_unmark(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    for (uint64_t i = 0; i < npages; i++)
        ga_store_release(&heap->page_table[page + i], 0);
}

static bool is_marked(const struct ga_heap *heap, uint64_t page)
{
    return (ga_load_relaxed(&heap->page_table[page]) & GA_ENTRY_SCAVENGED) != 0;
}

static bool punch(const struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    return heap->effects.punch(heap->effects.data, page * GA_PAGE_SIZE, npages * GA_PAGE_SIZE) == 0;
}

/* Pages of which some may be holes: so all of them count as holes, and get memory before they are
 * used. Where they cannot be punched they may have some, that is not counted and not zero. */
static void punch_again(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    if (!punch(heap, page, npages))
        heap->scavenge.has_unpunched = true;
}

uint64_t ga_scavenge_now(struct ga_heap *heap, uint64_t npages)
{
    uint64_t released = 0;
    /* The marker may come to a page that has become free since: to read a hole takes memory. */
    if (ga_collect_is_marking(heap))
        return 0;
    while (released < npages) {
        uint64_t most = npages - released < CHUNK_NPAGES ? npages - released : CHUNK_NPAGES;
        uint64_t page;
        uint64_t n = ga_page_alloc_begin_release(heap->pages, GA_SCAVENGE_FORCED,
                                                 &heap->scavenge.forced, most, &page);
        if (n == 0)
            break;
        mark(heap, page, n);
        bool punched = punch(heap, page, n);
        if (!punched)
            ga_scavenge_unmark(heap, page, n);
        ga_page_alloc_end_release(heap->pages, page, n, punched);
        if (!punched)
            break;
        released += n;
    }
    if (released > 0 && heap->effects.happened)
        heap->effects.happened(heap->effects.data, GA_HAPPENED_SCAVENGE, released * GA_PAGE_SIZE);
    return released;
}

/* How many pages from page on are marked as scavenged, or are not; up to end. */
static uint64_t count_alike(const struct ga_heap *heap, uint64_t page, uint64_t end, bool marked)
{
    uint64_t n = 0;
    while (page + n < end && is_marked(heap, page + n) == marked)
        n++;
    return n;
}

int ga_scavenge_recommit(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    uint64_t end = page + npages;
    int r = 0;
    while (r == 0 && (page += count_alike(heap, page, end, false)) < end) {
        uint64_t n = count_alike(heap, page, end, true);
        r = heap->effects.recommit(heap->effects.data, page * GA_PAGE_SIZE, n * GA_PAGE_SIZE);
        page += n;
    }
    return r;
}

/* The others keep their memory: a marker may be reading it. */
void ga_scavenge_taken(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    uint64_t end = page + npages;
    ga_page_alloc_free(heap->pages, page, npages);
    while ((page += count_alike(heap, page, end, false)) < end) {
        uint64_t n = count_alike(heap, page, end, true);
        punch_again(heap, page, n);
        ga_page_alloc_set_scavenged(heap->pages, page, n);
        page += n;
    }
}

/* ---- in the background ---- */

/* Add a run to the release; it may end where the last one begins. */
static void add_run(struct ga_scavenge *scavenge, uint64_t page, uint64_t npages)
{
    struct ga_page_run *last = scavenge->nruns ? &scavenge->runs[scavenge->nruns - 1] : NULL;
    scavenge->releasing_npages += npages;
    if (last && last->page == page + npages)
        *last = (struct ga_page_run){.page = page, .npages = last->npages + npages};
    else
        scavenge->runs[scavenge->nruns++] = (struct ga_page_run){.page = page, .npages = npages};
}

uint32_t ga_heap_begin_release(struct ga_heap *heap,
                               struct ga_page_run ret_runs[static GA_RELEASE_RUNS])
{
    struct ga_scavenge *scavenge = &heap->scavenge;
    if (scavenge->releasing_npages > 0 || ga_collect_is_marking(heap)) /* as ga_scavenge_now */
        return 0;
    uint64_t want = ga_heap_surplus_bytes(heap) / GA_PAGE_SIZE;
    want = want < GA_RELEASE_NPAGES ? want : GA_RELEASE_NPAGES;
    scavenge->nruns = 0;
    while (scavenge->releasing_npages < want && scavenge->nruns < GA_RELEASE_RUNS) {
        uint64_t page;
        uint64_t n =
            ga_page_alloc_begin_release(heap->pages, GA_SCAVENGE_BACKGROUND, &scavenge->background,
                                        want - scavenge->releasing_npages, &page);
        if (n == 0)
            break;
        mark(heap, page, n);
        add_run(scavenge, page, n);
    }
    for (uint32_t i = 0; i < scavenge->nruns; i++)
        ret_runs[i] = scavenge->runs[i];
    return scavenge->nruns;
}

void ga_heap_end_release(struct ga_heap *heap, uint32_t i, bool released)
{
    struct ga_scavenge *scavenge = &heap->scavenge;
    assert(i < scavenge->nruns && scavenge->runs[i].npages > 0);
    struct ga_page_run run = scavenge->runs[i];
    scavenge->runs[i].npages = 0;
    scavenge->releasing_npages -= run.npages;
    if (!released)
        ga_scavenge_unmark(heap, run.page, run.npages);
    ga_page_alloc_end_release(heap->pages, run.page, run.npages, released);
}

uint64_t ga_heap_release_now(struct ga_heap *heap, uint64_t bytes)
{
    if (heap->scavenge.releasing_npages > 0)
        heap->effects.wait_for_release(heap->effects.data);
    return ga_scavenge_now(heap, (bytes + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE) * GA_PAGE_SIZE;
}

/* ---- room ---- */

int ga_scavenge_make_room(struct ga_heap *heap, uint64_t npages)
{
    uint64_t soft = soft_goal(heap, 100);
    uint64_t want = ga_scavenge_retained(heap) + npages;
    if (want > soft)
        want -= ga_scavenge_now(heap, want - soft);
    if (want <= heap->npages_limit)
        return 0;
    if (heap->scavenge.releasing_npages > 0)
        heap->effects.wait_for_release(heap->effects.data);
    want = ga_scavenge_retained(heap) + npages;
    if (want > heap->npages_limit)
        want -= ga_scavenge_now(heap, want - heap->npages_limit);
    return want <= heap->npages_limit ? 0 : -ENOMEM;
}

uint64_t ga_scavenge_room(const struct ga_heap *heap)
{
    uint64_t soft = soft_goal(heap, 100);
    uint64_t limit = soft < heap->npages_limit ? soft : heap->npages_limit;
    uint64_t retained = ga_scavenge_retained(heap);
    return limit > retained ? limit - retained : 0;
}

static void make_up_for_growth(struct ga_heap *heap)
{
    struct ga_scavenge *scavenge = &heap->scavenge;
    uint64_t goal = usual_goal(heap);
    uint64_t retained = ga_scavenge_retained(heap);
    uint64_t want = scavenge->grown_npages;
    scavenge->grown_npages = 0;
    if (retained <= goal)
        return;
    want = retained - goal < want ? retained - goal : want;
    uint64_t covered = want < scavenge->credit_npages ? want : scavenge->credit_npages;
    scavenge->credit_npages -= covered;
    want -= covered;
    uint64_t released = want > 0 ? ga_scavenge_now(heap, want) : 0;
    if (released > want)
        scavenge->credit_npages += released - want;
}

void ga_scavenge_note_inuse(struct ga_heap *heap)
{
    if (heap->scavenge.peak_npages < heap->npages_inuse)
        heap->scavenge.peak_npages = heap->npages_inuse;
    if (heap->scavenge.grown_npages > 0)
        make_up_for_growth(heap);
}

/* ---- the takeover ---- */

void ga_scavenge_adopt(struct ga_heap *heap)
{
    uint64_t end = heap->npages_committed;
    for (uint64_t page = 1; page < end;) {
        uint64_t n = 0;
        while (page + n < end && ga_page_alloc_is_scavenged(heap->pages, page + n))
            n++;
        if (n > 0)
            punch_again(heap, page, n);
        page += n + 1;
    }
}
