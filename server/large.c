/* Large objects: a span each, of one slot, straight from mheap. One of up to GA_LARGE_NPAGES_LEASED
 * pages is leased to the mcache that asks, which keeps it when its object is freed and uses it
 * again. A longer or more aligned one is nobody's lease: its memory is too much to keep, and
 * whoever frees the object tells the server. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/size_class.h"

/* Whether the object of a large span that nobody leases is gone. One that was granted to a client
 * and not yet taken is not. */
static bool is_freed(const struct ga_heap *heap, ga_page_id page)
{
    if (heap->mspans[page].client_plus_1)
        return ga_slot_large_is_freed(&heap->view, page);
    return ga_slot_count_used(&heap->view, page, 1) == 0;
}

void ga_large_settle(struct ga_heap *heap, ga_page_id page)
{
    heap->mspans[page].place = GA_SPAN_LARGE;
    if (is_freed(heap, page))
        ga_mheap_free_span(heap, page);
}

/* How many pages a large object takes, and of which multiple its first one is. */
static uint64_t npages_for(uint64_t size_bytes, uint64_t alignment, uint64_t *ret_align_npages)
{
    uint64_t npages = (size_bytes + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    *ret_align_npages = alignment > GA_PAGE_SIZE ? alignment / GA_PAGE_SIZE : 1;
    /* A large span has a second page, whose entry names the client. */
    return npages < GA_LARGE_NPAGES_MIN ? GA_LARGE_NPAGES_MIN : npages;
}

bool ga_heap_would_grow(const struct ga_heap *heap, uint64_t size_bytes, uint64_t alignment)
{
    if (size_bytes > heap->npages_limit * GA_PAGE_SIZE || alignment > GA_ALIGNMENT_MAX)
        return false;
    uint64_t align_npages;
    uint64_t npages = npages_for(size_bytes, alignment, &align_npages);
    uint64_t page;
    return ga_page_alloc_find(heap->pages, npages + align_npages - 1, &page) < 0;
}

int ga_heap_large_alloc(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                        uint64_t size_bytes, uint64_t alignment, bool noscan, ga_page_id *ret_page,
                        bool *ret_zeroed)
{
    if (alignment > GA_ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0)
        return -EINVAL;
    if (size_bytes <= GA_SMALL_MAX && alignment <= GA_PAGE_SIZE)
        return -EINVAL;
    if (!ga_clients_mcache(heap, client, mcache))
        return -EPERM;
    if (size_bytes > heap->npages_limit * GA_PAGE_SIZE)
        return -ENOMEM;
    uint64_t align_npages;
    uint64_t npages = npages_for(size_bytes, alignment, &align_npages);
    bool leased = npages <= GA_LARGE_NPAGES_LEASED && align_npages == 1;
    bool needzero = true;
    int r;
    ga_sweep_begin_request(heap);
    do {
        r = ga_quota_check_span(heap, client, 0, npages);
        if (r == 0)
            r = ga_mheap_new_aligned_span(heap, noscan, npages, align_npages,
                                          leased ? 0 : client + 1, ret_page, &needzero);
    } while (r < 0 && (ga_sweep_rest(heap) || ga_recover_some(heap)));
    if (r == -ENOMEM)
        heap->effects.reclaim(heap->effects.data);
    if (r < 0)
        return r;
    if (leased)
        ga_lease_grant(heap, mcache, *ret_page);
    else
        ga_clients_count_grant(heap, client + 1, npages);
    *ret_zeroed = !needzero;
    return 0;
}
