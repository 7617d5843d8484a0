/* Handles: objects that one client alone knows of, and that go when the client goes.
 *
 * When a client is gone, what it was allocating into a handle stands in its mcaches' lines, and
 * what it had allocated into handles stands in those. All of it is freed here before anything else
 * of the client is taken back. Its spans are its own as long as that takes, and it is gone, so a
 * slot that is freed is allocated by nobody. So a server that is killed on the way leaves the next
 * one to do the same again: what was freed is not in use any more, and nothing is freed twice.
 *
 * That is why an object is freed only if it lies in a span that the client has still. One that was
 * allocated into a handle always does, for only empty spans are given back. What else a handle
 * names, by mistake or by another's doing, is left alone. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/batch.h"

/* Whose counters a free in the span at page goes to, if the span is client's: the mcache that
 * leases it, or, where client asked for a large one that nobody leases, the client's first. 0 if it
 * is not.
 */
static ga_mcache_id counter_of(const struct ga_heap *heap, ga_client_id client, ga_page_id page)
{
    const struct ga_mspan *span = &heap->mspans[page];
    if (span->owner != 0)
        return ga_mcache_record(heap, span->owner)->client_plus_1 == client + 1 ? span->owner : 0;
    return span->client_plus_1 == client + 1 ? heap->client_records[client].first_mcache : 0;
}

/* Whether somebody who was handed the object has freed it into a batch: then F says so later. */
static bool is_in_batch(const struct ga_heap *heap, const struct ga_slot *slot)
{
    ga_mcache_id end = ga_load_relaxed(&heap->meta->mcache_end);
    for (ga_mcache_id id = 1; id < end; id++)
        if (ga_batch_names(&heap->view, id, slot->page, slot->index))
            return true;
    return false;
}

/* Whether the slot is in use, whose span is its client's. */
static bool is_in_use(const struct ga_heap *heap, const struct ga_slot *slot)
{
    uint32_t nslots = ga_mheap_nslots(heap->mspans[slot->page].span_class);
    uint64_t free_bits = ga_free_bits(&heap->view, slot->page, slot->index / 64, nslots);
    return (free_bits >> (slot->index % 64) & 1) == 0 && !is_in_batch(heap, slot);
}

/* As whoever frees counts it. */
static void count_free(struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page)
{
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    const struct ga_mspan *span = &heap->mspans[page];
    ga_fetch_add_relaxed(&shared->classes[span->span_class].nfree, 1);
    if (ga_mspan_is_large(span))
        ga_fetch_add_relaxed(&shared->large_free_bytes, span->npages * GA_PAGE_SIZE);
}

/* Free the object of client that begins at offset, if there is one, unless it is a root; one that
 * somebody holds goes with its last hold. */
static void free_object(struct ga_heap *heap, ga_client_id client, uint64_t offset)
{
    struct ga_slot slot;
    if (!ga_holds_find_slot(heap, offset, &slot) || slot.entry & GA_ENTRY_TINY)
        return;
    ga_mcache_id mcache = counter_of(heap, client, slot.page);
    if (mcache == 0 || !is_in_use(heap, &slot) || ga_roots_has(heap, offset))
        return;
    ga_profiles_freed(heap, slot.page, offset);
    int r = ga_heap_put_off(heap, offset);
    if (r == -EINVAL)
        return; /* freed before, and kept for who holds it */
    if (r == -ENOENT)
        ga_slot_free_word(&heap->view, slot.page, slot.index / 64,
                          UINT64_C(1) << (slot.index % 64));
    count_free(heap, mcache, slot.page);
}

/* Free what mcache's thread was allocating into a handle. The handle may name it by now: then this
 * does what is done for that. */
static void end_into(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache)
{
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    if (ga_load_acquire(&shared->into_handle) != 0)
        free_object(heap, client, ga_load_acquire(&shared->into_object));
    ga_store_release(&shared->into_handle, 0);
}

void ga_handles_client_gone(struct ga_heap *heap, ga_client_id client)
{
    struct ga_handles *handles = &heap->view.handles[client];
    for (ga_mcache_id id = heap->client_records[client].first_mcache; id;
         id = ga_mcache_record(heap, id)->next)
        end_into(heap, client, id);
    for (uint32_t i = 0; client < heap->counts.handles && i < GA_HANDLE_COUNT; i++) {
        uint64_t address = ga_load_acquire(&handles->object[i]);
        if (address == 0)
            continue;
        free_object(heap, client, address - heap->meta->base);
        ga_store_release(&handles->object[i], 0);
    }
}

int ga_handles_back(struct ga_heap *heap, ga_client_id client, uint32_t count)
{
    if (heap->counts.handles == 0)
        return 0;
    return ga_backing_ensure(&heap->bits_backing,
                             heap->meta->bits_handles_offset + client * sizeof(struct ga_handles),
                             count * sizeof(struct ga_handles));
}

void ga_handles_begin(struct ga_heap *heap, ga_client_id client)
{
    for (uint32_t i = 0; client < heap->counts.handles && i < GA_HANDLE_COUNT; i++)
        ga_store_relaxed(&heap->view.handles[client].object[i], 0);
}
