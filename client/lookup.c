/* From a pointer to its slot: the checks of a free. One load of the page table entry (two, if the
 * page is not the span's first) tells the geometry; the index comes by multiplication. */
#include "client/heap.h"
#include "shm/tiny.h"

/* The committed end as known here, looked up anew when page lies past it. An entry is loaded only
 * below the end: to read a hole would allocate it. */
static bool is_committed(struct goalloc_heap *heap, uint64_t page)
{
    if (page < ga_load_relaxed(&heap->npages_known))
        return true;
    /* Pairs with the server's release: the tables up to the end are backed. */
    uint64_t end = ga_load_acquire(&heap->view.meta->committed_npages);
    ga_store_relaxed(&heap->npages_known, end);
    return page < end;
}

enum ga_lookup ga_lookup_slot(struct goalloc_heap *heap, const void *p, struct ga_slot *ret)
{
    uint64_t offset = (uintptr_t)p - heap->base;
    if (offset >= heap->reserve_bytes)
        return GA_LOOKUP_OUTSIDE;
    uint64_t page = offset >> GA_PAGE_SHIFT;
    if (!is_committed(heap, page))
        return GA_LOOKUP_UNCOMMITTED;
    uint64_t entry = ga_view_entry(&heap->view, page);
    uint64_t distance = ga_entry_distance(entry);
    if (distance) {
        /* This page's entry may be stale: the first page's decides. */
        if (distance > page)
            return GA_LOOKUP_NO_SPAN;
        page -= distance;
        entry = ga_view_entry(&heap->view, page);
        if (ga_entry_npages(entry) <= distance)
            return GA_LOOKUP_NO_SPAN;
    }
    if (!ga_entry_is_span(entry))
        return GA_LOOKUP_NO_SPAN;

    ret->page = (ga_page_id)page;
    ret->entry = entry;
    ret->index = 0;
    uint64_t in_span = offset - (page << GA_PAGE_SHIFT);
    if (entry & GA_ENTRY_LARGE)
        return in_span == 0 ? GA_LOOKUP_SLOT : GA_LOOKUP_INTERIOR;
    if (entry & GA_ENTRY_TINY) {
        ret->index = (uint32_t)in_span / GA_TINY_UNIT_BYTES;
        return in_span % GA_TINY_UNIT_BYTES == 0 ? GA_LOOKUP_SLOT : GA_LOOKUP_INTERIOR;
    }
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    const struct ga_size_class *c = &ga_size_classes[size_class];
    ret->index = ga_slot_index(c, (uint32_t)in_span);
    return ga_slot_is_start(c, (uint32_t)in_span, ret->index) ? GA_LOOKUP_SLOT : GA_LOOKUP_INTERIOR;
}

size_t ga_lookup_bytes(const struct goalloc_heap *heap, const struct ga_slot *slot)
{
    if (slot->entry & GA_ENTRY_TINY)
        return ga_tiny_bytes(&heap->view, slot);
    uint32_t size_class = ga_entry_span_class(slot->entry) / 2u;
    return size_class ? ga_size_classes[size_class].size
                      : ga_entry_npages(slot->entry) * GA_PAGE_SIZE;
}

bool ga_lookup_in_use(struct goalloc_heap *heap, const struct ga_slot *slot)
{
    uint64_t a;
    uint8_t before = ga_busy_enter();
    const struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    bool in_use = ga_slot_in_use(&heap->view, slot, &a) &&
                  !(cache && ga_batch_has(&cache->batch, slot->page, slot->index));
    ga_busy_leave(before);
    return in_use;
}

bool ga_lookup_is_object(struct goalloc_heap *heap, const void *p)
{
    struct ga_slot slot;
    return ga_lookup_slot(heap, p, &slot) == GA_LOOKUP_SLOT && ga_lookup_in_use(heap, &slot);
}
