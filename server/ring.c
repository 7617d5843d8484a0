/* Leasing ahead: filling the rings of mcaches that ask for spans before they need them. */
#include "shm/ring.h"

#include <errno.h>

#include "server/heap_internal.h"

/* How many entries the ring has room for: 0 or more; -EBADMSG where the client's count cannot be.
 */
static int room(const struct ga_heap *heap, ga_mcache_id mcache)
{
    uint64_t head = ga_mcache_record(heap, mcache)->ring_head;
    /* Acquire: an entry is not written over before the client has done with it. */
    uint64_t taken = ga_load_acquire(&heap->view.mcaches[mcache].ring_taken);
    if (taken > head || head - taken > GA_RING_ENTRIES)
        return -EBADMSG;
    return (int)(GA_RING_ENTRIES - (head - taken));
}

bool ga_ring_count_can_be(const struct ga_heap *heap, ga_mcache_id mcache)
{
    return room(heap, mcache) >= 0;
}

static void put(struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page)
{
    uint64_t sequence = ga_mcache_record(heap, mcache)->ring_head + 1;
    _Atomic uint64_t *entry = &heap->rings[mcache].entry[ga_ring_index(sequence)];
    ga_store_release(entry, ga_ring_entry(sequence, GA_RING_RESERVED, page));
    ga_lease_grant(heap, mcache, page);
    /* Pairs with the client's acquire: who sees it READY sees the owner. */
    ga_store_release(entry, ga_ring_entry(sequence, GA_RING_READY, page));
    ga_mcache_record(heap, mcache)->ring_head = sequence;
}

int ga_heap_lease_ahead(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                        ga_span_class span_class, uint32_t count)
{
    if (span_class < 2 || span_class >= GA_SPAN_CLASS_COUNT || count == 0 || count > GA_LEASE_MAX)
        return -EINVAL;
    if (!ga_clients_mcache(heap, client, mcache))
        return -EPERM;
    if (heap->counts.rings == 0)
        return -ENOTSUP;
    int most = room(heap, mcache);
    if (most < 0)
        return most;
    ga_sweep_begin_request(heap);
    for (uint32_t n = 0; n < count && n < (uint32_t)most; n++) {
        ga_page_id page;
        int r = ga_lease_find_span(heap, client, span_class, &page);
        if (r < 0)
            return r;
        put(heap, mcache, page);
    }
    return 0;
}

int ga_ring_prepare(struct ga_heap *heap, ga_mcache_id mcache)
{
    int r = 0;
    if (heap->counts.rings > 0)
        r = ga_backing_ensure(&heap->meta_backing,
                              heap->meta->rings_offset + mcache * sizeof(struct ga_ring),
                              sizeof(struct ga_ring));
    if (r < 0)
        return r;
    for (uint32_t i = 0; heap->counts.rings > 0 && i < GA_RING_ENTRIES; i++)
        ga_store_relaxed(&heap->rings[mcache].entry[i], 0);
    ga_store_release(&heap->view.mcaches[mcache].ring_taken,
                     ga_mcache_record(heap, mcache)->ring_head);
    return 0;
}

bool ga_ring_has(const struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page)
{
    uint64_t taken = ga_load_acquire(&heap->view.mcaches[mcache].ring_taken);
    for (uint32_t i = 0; heap->counts.rings > 0 && i < GA_RING_ENTRIES; i++) {
        uint64_t entry = ga_load_relaxed(&heap->rings[mcache].entry[i]);
        if (ga_ring_page(entry) == page && ga_ring_sequence(entry) > taken)
            return true;
    }
    return false;
}

/* The entry with the highest sequence, 0 if there is none. */
static uint64_t last_entry(const struct ga_ring *ring)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < GA_RING_ENTRIES; i++) {
        uint64_t entry = ga_load_relaxed(&ring->entry[i]);
        if (ga_ring_sequence(entry) > ga_ring_sequence(last))
            last = entry;
    }
    return last;
}

void ga_ring_adopt(struct ga_heap *heap, ga_mcache_id mcache)
{
    uint64_t last = last_entry(&heap->rings[mcache]);
    uint64_t sequence = ga_ring_sequence(last);
    uint64_t taken = ga_load_relaxed(&heap->view.mcaches[mcache].ring_taken);
    if (sequence == 0) {
        /* Nothing since the id was given out: its count is what it was given out with. */
        ga_mcache_record(heap, mcache)->ring_head = taken;
        return;
    }
    if (ga_ring_state(last) == GA_RING_RESERVED) {
        ga_page_id page = ga_ring_page(last);
        bool granted = page < heap->npages_committed &&
                       ga_entry_owner(ga_load_relaxed(&heap->page_table[page])) == mcache;
        ga_store_release(&heap->rings[mcache].entry[ga_ring_index(sequence)],
                         granted ? ga_ring_entry(sequence, GA_RING_READY, page) : 0);
        if (!granted)
            sequence--;
    }
    ga_mcache_record(heap, mcache)->ring_head = sequence;
}
