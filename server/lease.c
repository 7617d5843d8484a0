/* Leases: the right of one mcache to allocate from one span. The page entry's owner says whom a
 * free must tell; the mspan says the same in the server's own memory, and that is what is believed.
 */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/size_class.h"
#include "shm/tiny.h"

/* Show in meta what is leased to mcache. */
static void show_leased(struct ga_heap *heap, ga_mcache_id mcache)
{
    const struct ga_mcache_record *record = ga_mcache_record(heap, mcache);
    ga_store_relaxed(&heap->mcache_entries[mcache].nspans, record->leased.count);
    ga_store_relaxed(&heap->mcache_entries[mcache].leased_bytes, record->leased_bytes);
}

void ga_lease_grant(struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page)
{
    struct ga_mcache_record *record = ga_mcache_record(heap, mcache);
    struct ga_mspan *span = &heap->mspans[page];
    span->place = GA_SPAN_LEASED;
    span->collected = false; /* another's now */
    ga_span_list_push(&record->leased, heap->mspans, page);
    record->leased_bytes += span->npages * GA_PAGE_SIZE;
    record->leased_by_class[span->span_class / 2]++;
    heap->nspans_leased++;
    ga_quota_charge_span(heap, record->client_plus_1 - 1, page);
    ga_clients_count_grant(heap, record->client_plus_1, span->npages);
    ga_mheap_set_owner(heap, page, mcache, 0);
    show_leased(heap, mcache);
}

void ga_lease_note_length(struct ga_heap *heap, ga_page_id page, uint64_t npages)
{
    const struct ga_mspan *span = &heap->mspans[page];
    ga_mcache_record(heap, span->owner)->leased_bytes += (npages - span->npages) * GA_PAGE_SIZE;
    show_leased(heap, span->owner);
}

uint32_t ga_lease_client(const struct ga_heap *heap, ga_page_id page)
{
    const struct ga_mspan *span = &heap->mspans[page];
    return span->owner ? ga_mcache_record(heap, span->owner)->client_plus_1 : span->client_plus_1;
}

/* Whether a flush of somebody's batch into the span is under way, who will tell of its end. The
 * next span at the page would clear d; and if he were killed, what is done once more for him would
 * free slots of that. Asked when F has been read, which the flush changes. */
static bool is_flushed(const struct ga_heap *heap, ga_page_id page)
{
    /* Clients can write this. One that there is not ends nothing. seq_cst: who has ended it
     * before it was read here has done so before the pending bit was cleared or the owner taken, or
     * else tells afterwards. */
    uint32_t id = ga_load_seq_cst(&heap->view.lines[page].d);
    return id != 0 && id < heap->mcache_end && ga_mcache_record(heap, id)->client_plus_1 != 0;
}

static void put_orphan(struct ga_heap *heap, ga_page_id page)
{
    heap->mspans[page].place = GA_SPAN_ORPHAN;
    ga_span_list_push(&heap->orphans, heap->mspans, page);
}

/* Find the place of a span that nobody leases any more and that is on no list of mcentral. */
static void settle(struct ga_heap *heap, ga_page_id page)
{
    const struct ga_mspan *span = &heap->mspans[page];
    if (ga_mspan_is_large(span)) {
        ga_large_settle(heap, page);
        return;
    }
    uint32_t nslots = ga_mheap_nslots(span->span_class);
    uint32_t used = ga_slot_count_used(&heap->view, page, nslots);
    if (used == 0 && !is_flushed(heap, page))
        ga_mheap_free_span(heap, page);
    else if (ga_mheap_is_orphan(heap, page))
        put_orphan(heap, page);
    else
        ga_mcentral_put(&heap->central[span->span_class], heap->mspans, page, used ? used : 1,
                        nslots);
}

void ga_lease_look_again(struct ga_heap *heap, ga_page_id page)
{
    struct ga_mspan *span = &heap->mspans[page];
    if (span->place == GA_SPAN_ORPHAN)
        ga_span_list_remove(&heap->orphans, heap->mspans, page);
    else if (span->place != GA_SPAN_LARGE)
        ga_mcentral_remove(&heap->central[span->span_class], heap->mspans, page);
    settle(heap, page);
}

static int find_span(struct ga_heap *heap, ga_client_id client, ga_span_class span_class,
                     ga_page_id *ret_page)
{
    uint64_t npages = ga_size_classes[span_class / 2].npages;
    /* A span that another allocates from too cannot be freed whole. */
    ga_page_id page =
        ga_clients_is_apart(heap, client) ? 0 : ga_quota_take_partial(heap, client, span_class);
    int r = ga_quota_check_span(heap, client, page, npages);
    if (r < 0 && page)
        settle(heap, page);
    if (r < 0)
        return r;
    if (page) {
        *ret_page = page;
        return 0;
    }
    bool needzero;
    return ga_mheap_new_span(heap, span_class, npages, 0, ret_page, &needzero);
}

int ga_lease_find_span(struct ga_heap *heap, ga_client_id client, ga_span_class span_class,
                       ga_page_id *ret_page)
{
    /* Full spans that others have freed slots of come before new ones. */
    ga_sweep_for_class(heap, span_class);
    int r = find_span(heap, client, span_class, ret_page);
    while (r < 0 && (ga_sweep_rest(heap) || ga_recover_some(heap)))
        r = find_span(heap, client, span_class, ret_page);
    return r;
}

int ga_heap_lease(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                  ga_span_class span_class, uint32_t count,
                  ga_page_id ret_pages[static GA_LEASE_MAX], uint32_t *ret_count)
{
    if (span_class < 2 || span_class >= GA_SPAN_CLASS_COUNT || count == 0 || count > GA_LEASE_MAX)
        return -EINVAL;
    if (!ga_clients_mcache(heap, client, mcache))
        return -EPERM;

    ga_sweep_begin_request(heap);
    uint32_t n = 0;
    int r = 0;
    for (; n < count; n++) {
        r = ga_lease_find_span(heap, client, span_class, &ret_pages[n]);
        if (r < 0)
            break;
        ga_lease_grant(heap, mcache, ret_pages[n]);
    }
    if (n == 0) {
        if (r == -ENOMEM)
            heap->effects.reclaim(heap->effects.data);
        return r;
    }
    *ret_count = n;
    return 0;
}

/* Say that nobody holds the span, before its F is read. */
static void clear_holder(struct ga_heap *heap, ga_page_id page)
{
    _Atomic uint64_t *holder = &heap->view.lines[page].holder;
    ga_xchg_seq_cst(holder, ga_holder_next(ga_load_relaxed(holder), 0, 0));
}

void ga_lease_end(struct ga_heap *heap, ga_page_id page)
{
    struct ga_mspan *span = &heap->mspans[page];
    ga_mcache_id mcache = span->owner;
    struct ga_mcache_record *record = ga_mcache_record(heap, mcache);
    ga_span_list_remove(&record->leased, heap->mspans, page);
    record->leased_bytes -= span->npages * GA_PAGE_SIZE;
    record->leased_by_class[span->span_class / 2]--;
    heap->nspans_leased--;
    span->collected = false;
    ga_quota_leave_span(heap, record->client_plus_1 - 1, page);
    show_leased(heap, mcache);

    /* In this order: the owner (who frees from now on tells the server), the holder, and only then
     * F is read; seq_cst, so that no free between is missed by both sides. */
    bool is_orphan = ga_clients_leaves_orphans(heap, record->client_plus_1 - 1);
    /* What a managed client gives back waits for a cycle that has another reason. */
    heap->has_new_orphans |= is_orphan && ga_clients_is_leaving(heap, record->client_plus_1 - 1);
    ga_mheap_set_owner(heap, page, 0, is_orphan ? GA_ENTRY_ORPHAN : 0);
    clear_holder(heap, page);
    settle(heap, page);
}

void ga_lease_take_over(struct ga_heap *heap, ga_page_id page)
{
    ga_mcache_id owner = heap->mspans[page].owner;
    uint64_t holder = ga_load_acquire(&heap->view.lines[page].holder);
    if (owner == 0) {
        /* The old server may have died between the owner and the holder. */
        if (ga_holder_id(holder) != 0)
            clear_holder(heap, page);
        heap->has_new_orphans |= ga_mheap_is_orphan(heap, page);
        settle(heap, page);
    } else if (ga_holder_is_returned_by(holder, owner)) {
        ga_lease_end(heap, page); /* the message has reached nobody */
    } else {
        /* The old server may have taken the pending bit, and died before it told the owner. */
        ga_slot_tell(&heap->view, page);
    }
}

int ga_heap_return(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache, ga_page_id page)
{
    if (!ga_clients_mcache(heap, client, mcache))
        return -EPERM;
    if (page >= heap->npages_committed || heap->mspans[page].place != GA_SPAN_LEASED ||
        heap->mspans[page].owner != mcache)
        return -EINVAL;
    /* The message is a hint, the holder word decides. Acquire: the returner's last stores to A. */
    if (!ga_holder_is_returned_by(ga_load_acquire(&heap->view.lines[page].holder), mcache))
        return -EAGAIN;
    ga_lease_end(heap, page);
    return 0;
}

void ga_lease_end_unbegun(struct ga_heap *heap, ga_mcache_id mcache)
{
    ga_page_id next;
    for (ga_page_id page = ga_mcache_record(heap, mcache)->leased.first; page; page = next) {
        next = heap->mspans[page].next;
        /* The ring first: a span that is taken from it meanwhile has a holder by then. */
        if (!ga_ring_has(heap, mcache, page) &&
            ga_holder_id(ga_load_acquire(&heap->view.lines[page].holder)) == 0)
            ga_lease_end(heap, page);
    }
}

void ga_lease_end_returned(struct ga_heap *heap, ga_mcache_id mcache)
{
    ga_page_id next;
    for (ga_page_id page = ga_mcache_record(heap, mcache)->leased.first; page; page = next) {
        next = heap->mspans[page].next;
        if (ga_holder_is_returned_by(ga_load_acquire(&heap->view.lines[page].holder), mcache))
            ga_lease_end(heap, page);
    }
}

void ga_lease_free_untaken(struct ga_heap *heap, ga_client_id client)
{
    ga_page_id next;
    for (ga_page_id page = heap->client_records[client].large.first; page; page = next) {
        next = heap->mspans[page].next;
        if (ga_slot_large_is_untaken(&heap->view, page))
            ga_mheap_free_span(heap, page);
    }
}

void ga_lease_take_news(struct ga_heap *heap, ga_page_id page)
{
    struct ga_mspan *span = &heap->mspans[page];
    switch (span->place) {
    case GA_SPAN_UNUSED:
        break; /* freed already, for its other slots' sake */
    case GA_SPAN_LEASED:
        ga_slot_tell(&heap->view, page); /* leased since: its owner must know */
        break;
    default:
        ga_lease_look_again(heap, page);
    }
}
