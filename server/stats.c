/* What the heap shows of itself: sums over the mcaches' counters and the server's own books.
 * Counters lie in memory that clients write, so they are shown and never decided upon. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/arenas.h"
#include "shm/size_class.h"

/* Of a class, or of the heap: a malloc and its free may be counted by two mcaches, so a reading in
 * between can find more frees than mallocs. */
static uint64_t live(uint64_t mallocs, uint64_t frees)
{
    return mallocs > frees ? mallocs - frees : 0;
}

static uint64_t leased_bytes(const struct ga_heap *heap)
{
    uint64_t bytes = 0;
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++)
        bytes += ga_mcache_record(heap, id)->leased_bytes;
    return bytes;
}

/* Entries, lines, wide lines and tiny bits of the spans in use. */
static uint64_t mspan_inuse(const struct ga_heap *heap)
{
    uint64_t bytes =
        heap->npages_inuse * sizeof(ga_page_word) + heap->nspans * sizeof(struct ga_span_line);
    bytes += heap->nspans_tiny * (sizeof(struct ga_tiny_bits) - sizeof(struct ga_span_wide));
    for (uint32_t c = 1; c < GA_SIZE_CLASS_COUNT; c++)
        if (ga_size_class_nwords(&ga_size_classes[c]) > GA_LINE_WORDS)
            bytes += heap->spans_by_class[c] * sizeof(struct ga_span_wide);
    return bytes;
}

/* What of meta and bits is committed, by what it is for. The tables lie in the order that view.c
 * tells, so one ends where the next begins; the mcaches' entries and rings are neighbours. */
static void add_metadata(const struct ga_heap *heap, struct ga_heap_stats *stats)
{
    const struct ga_meta_header *h = heap->meta;
    stats->meta_bytes = ga_backing_bytes(&heap->meta_backing);
    stats->bits_bytes = ga_backing_bytes(&heap->bits_backing);
    stats->mspan_inuse_bytes = mspan_inuse(heap);
    stats->mspan_sys_bytes = ga_backing_bytes_in(&heap->meta_backing, h->page_table_offset,
                                                 h->meta_bytes - h->page_table_offset) +
                             ga_backing_bytes_in(&heap->bits_backing, h->bits_wide_offset,
                                                 h->bits_bytes - h->bits_wide_offset);
    stats->mcache_inuse_bytes =
        heap->nmcaches *
        (sizeof(struct ga_mcache) + sizeof(struct ga_mcache_entry) + sizeof(struct ga_ring));
    stats->mcache_sys_bytes = ga_backing_bytes_in(&heap->meta_backing, h->mcaches_offset,
                                                  h->roots_offset - h->mcaches_offset) +
                              ga_backing_bytes_in(&heap->bits_backing, h->bits_mcaches_offset,
                                                  h->bits_profiles_offset - h->bits_mcaches_offset);
    stats->other_sys_bytes =
        stats->meta_bytes + stats->bits_bytes - stats->mspan_sys_bytes - stats->mcache_sys_bytes;
}

uint64_t ga_heap_nleased(const struct ga_heap *heap)
{
    return heap->nspans_leased;
}

void ga_heap_get_stats(struct ga_heap *heap, struct ga_heap_stats *ret)
{
    struct ga_heap_stats stats = {0};
    struct ga_counters counters = {0};
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++)
        ga_counters_add(&heap->view.mcaches[id], &counters);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        struct ga_class_stats *class = &stats.by_class[c];
        uint64_t total = ga_counters_alloc_bytes(&counters, c);
        class->mallocs = counters.mallocs[c];
        class->frees = counters.frees[c];
        class->spans = heap->spans_by_class[c];
        class->alloc_bytes =
            ga_counters_bound(c, live(total, ga_counters_free_bytes(&counters, c)), class->spans);
        stats.mallocs += class->mallocs;
        stats.frees += class->frees;
        stats.alloc_bytes += class->alloc_bytes;
        stats.total_alloc_bytes += total;
    }
    stats.heap_objects = live(stats.mallocs, stats.frees);
    stats.heap_sys_bytes = heap->npages_committed * GA_PAGE_SIZE;
    stats.heap_inuse_bytes = heap->npages_inuse * GA_PAGE_SIZE;
    stats.heap_idle_bytes = stats.heap_sys_bytes - stats.heap_inuse_bytes;
    stats.heap_released_bytes = ga_page_alloc_nscavenged(heap->pages) * GA_PAGE_SIZE;
    add_metadata(heap, &stats);
    stats.sys_bytes = stats.heap_sys_bytes + stats.meta_bytes + stats.bits_bytes;
    stats.spans_inuse = heap->nspans;
    stats.spans_leased = heap->nspans_leased;
    stats.leased_bytes = leased_bytes(heap);
    *ret = stats;
}

/* What is not worth a call: less than this, and a part of what is allocated. */
#define UNNEEDED_BYTES_MIN (UINT64_C(4) << 20)
#define UNNEEDED_PART      10u
/* A first call says what was not needed since then, and the next has it given back. */
#define UNNEEDED_CALLS 3u

bool ga_heap_has_unneeded(struct ga_heap *heap)
{
    uint64_t inuse_bytes = heap->npages_inuse * GA_PAGE_SIZE;
    if (inuse_bytes < UNNEEDED_BYTES_MIN || heap->nspans_leased == 0)
        return false;
    struct ga_counters counters = {0};
    uint64_t alloc_bytes = 0;
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++)
        ga_counters_add(&heap->view.mcaches[id], &counters);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        alloc_bytes +=
            live(ga_counters_alloc_bytes(&counters, c), ga_counters_free_bytes(&counters, c));
    uint64_t activity =
        ga_counters_mallocs(&counters) + ga_counters_frees(&counters) + heap->nspans_leased;
    struct ga_unneeded *before = &heap->unneeded;
    before->ncalls = activity == before->activity ? before->ncalls + 1 : 0;
    before->activity = activity;
    return before->ncalls < UNNEEDED_CALLS &&
           inuse_bytes > alloc_bytes + alloc_bytes / UNNEEDED_PART + UNNEEDED_BYTES_MIN;
}

void ga_heap_get_status(struct ga_heap *heap, struct ga_heap_status *ret)
{
    uint64_t narenas = heap->npages_reserved / GA_PAGES_PER_ARENA;
    uint64_t nready = (heap->npages_committed + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    *ret = (struct ga_heap_status){
        .base = heap->meta->base,
        .reserve_bytes = heap->meta->reserve_bytes,
        .limit_bytes = heap->npages_limit * GA_PAGE_SIZE,
        .committed_bytes = heap->npages_committed * GA_PAGE_SIZE,
        .inuse_bytes = heap->npages_inuse * GA_PAGE_SIZE,
        .released_bytes = ga_page_alloc_nscavenged(heap->pages) * GA_PAGE_SIZE,
        .uptime_ms = heap->effects.now_ms(heap->effects.data) - heap->started_ms,
        .clients = heap->nclients,
        .mcaches = heap->nmcaches,
        .roots = heap->nroots,
        .arenas_ready = (uint32_t)nready,
        .arenas_prepared = (uint32_t)(heap->narenas_prepared - nready),
        .arenas_reserved = (uint32_t)(narenas - heap->narenas_prepared),
    };
}

int ga_heap_next_arenas(struct ga_heap *heap, uint64_t index, struct ga_arena_info *ret)
{
    return ga_arenas_next(&heap->view, index, ret);
}

int ga_heap_next_span(struct ga_heap *heap, uint64_t page, struct ga_span_info *ret)
{
    return ga_heap_next_span_before(heap, page, UINT64_MAX, ret);
}

int ga_heap_next_span_before(struct ga_heap *heap, uint64_t page, uint64_t end,
                             struct ga_span_info *ret)
{
    uint64_t stop = end < heap->npages_committed ? end : heap->npages_committed;
    while (page < stop && heap->mspans[page].npages == 0)
        page++;
    if (page >= stop)
        return page < heap->npages_committed ? -EAGAIN : -ENOENT;
    const struct ga_mspan *span = &heap->mspans[page];
    ret->page = (ga_page_id)page;
    ret->npages = span->npages;
    ret->span_class = span->span_class;
    ret->owner = span->owner;
    ret->client_plus_1 =
        span->owner ? ga_mcache_record(heap, span->owner)->client_plus_1 : span->client_plus_1;
    ret->slots = ga_mheap_nslots(span->span_class);
    ret->used = ga_slot_count_used(&heap->view, (ga_page_id)page, ret->slots);
    return 0;
}

uint32_t ga_heap_now_s(const struct ga_heap *heap)
{
    return (uint32_t)(heap->effects.now_ms(heap->effects.data) / 1000);
}

uint64_t ga_heap_get_ages(const struct ga_heap *heap, uint64_t page, uint64_t count,
                          uint32_t *ret_ages)
{
    uint32_t now_s = ga_heap_now_s(heap);
    uint64_t end = heap->npages_committed;
    count = page >= end ? 0 : count < end - page ? count : end - page;
    for (uint64_t i = 0; i < count; i++) {
        const struct ga_mspan *span = &heap->mspans[page + i];
        ret_ages[i] = span->npages ? now_s - span->made_s : GA_NO_AGE;
    }
    return count;
}
