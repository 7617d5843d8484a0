/* Large spans made shorter or longer where they lie: the tail goes back to the page allocator, or
 * free pages that follow are taken. Either way the store of the first page's entry, which has the
 * length, is the commit; what entries behind the end say is believed by nobody. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/size_class.h"

static void store_length(struct ga_heap *heap, ga_page_id page, uint64_t npages, uint64_t flags)
{
    uint64_t entry = ga_load_relaxed(&heap->page_table[page]);
    flags |= entry & (GA_ENTRY_INUSE | GA_ENTRY_FIRST | GA_ENTRY_LARGE | GA_ENTRY_NEEDZERO |
                      GA_ENTRY_ORPHAN);
    /* Pairs with the acquire load of a free: the inner entries are there before the length. */
    ga_store_release(&heap->page_table[page], ga_entry_make(ga_entry_span_class(entry), npages,
                                                            ga_entry_owner(entry), flags));
}

/* Enter the length in the books. */
static void note_length(struct ga_heap *heap, ga_page_id page, uint64_t npages)
{
    struct ga_mspan *span = &heap->mspans[page];
    heap->npages_inuse = heap->npages_inuse - span->npages + npages;
    ga_scavenge_note_inuse(heap);
    if (span->owner)
        ga_lease_note_length(heap, page, npages);
    span->npages = (uint32_t)npages;
    span->collected = false; /* it is not as the cycle found it */
}

static bool are_free(const struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    if (page > heap->npages_committed || npages > heap->npages_committed - page)
        return false;
    for (uint64_t i = 0; i < npages; i++)
        if (!ga_page_alloc_is_free(heap->pages, page + i))
            return false;
    return true;
}

static void shrink(struct ga_heap *heap, ga_page_id page, uint64_t npages)
{
    uint64_t rest = heap->mspans[page].npages - npages;
    store_length(heap, page, npages, 0);
    note_length(heap, page, npages);
    ga_quota_resize_span(heap, page, npages + rest);
    ga_page_alloc_free(heap->pages, page + npages, rest);
}

static int extend(struct ga_heap *heap, ga_page_id page, uint64_t npages)
{
    const uint64_t before = heap->mspans[page].npages;
    const ga_span_class span_class = heap->mspans[page].span_class;
    uint64_t more = npages - before;
    uint64_t end = (uint64_t)page + npages;
    int r = ga_quota_check_growth(heap, page, more);
    /* Who has to move needs a run as long as the whole; where the heap would have to grow for that,
     * it had better grow by the rest of it here, if the span is its last. */
    if (r == 0 && !ga_mheap_may_use(heap, more))
        r = -ENOMEM;
    if (r == 0 && !are_free(heap, page + before, more))
        r = ga_mheap_grow_behind(heap, page + before, more, npages);
    bool zeroed = false;
    if (r == 0)
        r = ga_mheap_take(heap, page + before, more, &zeroed);
    if (r < 0)
        return r;
    heap->zeroed_from = end > heap->zeroed_from ? end : heap->zeroed_from;
    for (uint64_t i = before; i < npages; i++)
        ga_store_relaxed(&heap->page_table[page + i],
                         ga_entry_make(span_class, i, 0, GA_ENTRY_INUSE | GA_ENTRY_LARGE));
    store_length(heap, page, npages, zeroed ? 0 : GA_ENTRY_NEEDZERO);
    note_length(heap, page, npages);
    ga_quota_resize_span(heap, page, before);
    return 0;
}

int ga_heap_large_resize(struct ga_heap *heap, ga_client_id client, ga_page_id page,
                         uint64_t size_bytes)
{
    if (!ga_clients_is_served(heap, client))
        return -EPERM;
    if (size_bytes <= GA_SMALL_MAX || page >= heap->npages_committed ||
        !ga_mspan_is_large(&heap->mspans[page]) || ga_slot_count_used(&heap->view, page, 1) == 0)
        return -EINVAL;
    if (size_bytes > heap->npages_limit * GA_PAGE_SIZE)
        return -ENOMEM;
    uint64_t npages = (size_bytes + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    if (npages > heap->mspans[page].npages)
        return extend(heap, page, npages);
    if (npages < heap->mspans[page].npages && ga_holds_any(heap, page * GA_PAGE_SIZE))
        return -EBUSY;
    if (npages < heap->mspans[page].npages)
        shrink(heap, page, npages);
    return 0;
}
