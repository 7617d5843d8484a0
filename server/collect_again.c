/* What has changed while it was marked, where clients have run meanwhile. As in Boehm's mostly
 * parallel collection: who is reached is read once, and again where his pages have been written to
 * since. Last all stand still, and nothing is missed:
 *
 * Let an object be reached then, by a chain of pointers from a root. Follow the chain. The roots
 * are looked at once more. An object of the chain that was in use at the beginning, and has not
 * been reached, is reached now, and read whole. One that was reached before has been read; the
 * pointer that the chain goes on by was there then, or it was stored since, and lies on a page that
 * was written to. One that was not in use at the beginning had all that it holds stored into it
 * since: by a page that was written to. So that such objects keep what they point to, whether they
 * are reached or not.
 *
 * The beginning may be in slices: then a span's is its slice, and all that is told was written
 * since before the first.
 *
 * This takes a span for what it was at the beginning. If it has been freed, and its pages are
 * others' now, all that is in use there was stored since; if it has another leaseholder or length,
 * it is read whole. And what was freed meanwhile is no garbage, for its slot may be another's
 * object by the time of the sweep; whether that is what lies there then or what lay there at the
 * beginning is the same, as long as nothing reaches it when all stand still. */
#include "server/collect_internal.h"

/* The span that page lies in now, by its first page; 0 = in none. */
static ga_page_id span_at(const struct ga_heap *heap, uint64_t page)
{
    uint64_t distance = ga_entry_distance(ga_load_relaxed(&heap->page_table[page]));
    uint64_t first = distance < page ? page - distance : page;
    return heap->mspans[first].npages > page - first ? (ga_page_id)first : 0;
}

/* Bytes [from, to) of the heap were written to. */
static int add_range(struct ga_heap *heap, uint64_t from, uint64_t to)
{
    uint64_t end = heap->npages_committed << GA_PAGE_SHIFT;
    int r = 0;
    for (uint64_t next; r == 0 && from < to && from < end; from = next) {
        ga_page_id first = span_at(heap, from >> GA_PAGE_SHIFT);
        const struct ga_mspan *span = &heap->mspans[first];
        next = first ? ((uint64_t)first + span->npages) << GA_PAGE_SHIFT
                     : (from | (GA_PAGE_SIZE - 1)) + 1;
        if (first)
            r = ga_mark_add_written(heap->collect->mark, first, span->span_class, from,
                                    next < to ? next : to, span->collected);
    }
    return r;
}

static int add_written(struct ga_heap *heap, const uint64_t *written, uint64_t nwords)
{
    int r = 0;
    uint64_t from = 0; /* of the pages that were, in OS pages */
    uint64_t to = 0;
    for (uint64_t word = 0; r == 0 && word < nwords; word++) {
        for (uint64_t left = written[word]; r == 0 && left; left &= left - 1) {
            uint64_t page = word * 64 + (uint64_t)__builtin_ctzll(left);
            if (page != to) {
                r = add_range(heap, from * GA_OS_PAGE_SIZE, to * GA_OS_PAGE_SIZE);
                from = page;
            }
            to = page + 1;
        }
    }
    return r < 0 ? r : add_range(heap, from * GA_OS_PAGE_SIZE, to * GA_OS_PAGE_SIZE);
}

/* Spans that were collected, and are not the same any more: all that is in use there now. */
static int add_changed(struct ga_heap *heap)
{
    const struct ga_collect *collect = heap->collect;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < collect->nspans; i++) {
        ga_page_id page = collect->spans[i].page;
        const struct ga_mspan *now = &heap->mspans[page];
        if (!now->collected && now->npages != 0)
            r = ga_mark_add_root_span(collect->mark, page, now->npages, now->span_class);
    }
    return r;
}

int ga_collect_look_again(struct ga_heap *heap, const uint64_t *written, uint64_t nwords, bool last)
{
    struct ga_collect *collect = heap->collect;
    collect->is_concurrent = true;
    ga_mark_forget_written(collect->mark);
    int r = add_written(heap, written, nwords);
    if (r < 0 || !last)
        return r;
    collect->result.roots = collect->result.roots_outside = 0; /* those of now count */
    ga_collect_leave_out_batches(heap);
    r = add_changed(heap);
    return r < 0 ? r : ga_collect_add_known_roots(heap);
}

void ga_collect_keep_used(struct ga_heap *heap)
{
    const struct ga_collect *collect = heap->collect;
    for (uint64_t i = 0; i < collect->nspans; i++)
        if (heap->mspans[collect->spans[i].page].collected)
            ga_mark_keep_used(collect->mark, collect->spans[i].page);
}
