/* What a client leaves when it detaches or ends: mcaches, leases, large spans, holds, roots.
 *
 * First its entry says that it is leaving, the commit: from then on it is granted nothing and holds
 * nothing, and whoever takes the heap over goes on here. Then its mcaches are recovered one by one,
 * in slices of so many spans; each is given back when the last of its spans is, and the entry at
 * the very end. So no number is used again before everything that bore it is settled, and every
 * step may be broken off and done again.
 *
 * Of a client of policy private every object is freed, as another process would free it: F's bits
 * become A's. The span is then empty, and goes back like any other. So a free by somebody else that
 * races with this is the second of two frees of one object, which the protocol refuses; and what it
 * says of two frees that overlap (shm/README.md) is all that can be said against it. A hold puts
 * off this free like any other. */
#include "server/heap_internal.h"

#include "shm/tiny.h"

/* Leave the tiny block that the mcache carved from, if it is in a span that is leased to it. */
static void leave_tiny(struct ga_heap *heap, ga_mcache_id mcache)
{
    uint64_t tiny = ga_load_relaxed(&heap->view.mcaches[mcache].tiny);
    ga_page_id page = ga_tiny_page(tiny);
    const struct ga_mspan *span = &heap->mspans[page < heap->npages_committed ? page : 0];
    bool is_its_own = span->place == GA_SPAN_LEASED && span->owner == mcache &&
                      span->span_class == GA_SPAN_CLASS_TINY;
    /* What names another's block is forgotten. */
    ga_tiny_leave(&heap->view, mcache, is_its_own ? tiny : tiny & ~GA_TINY_PAGE_MASK);
}

/* Give back the claimed word of one class, if where names a span that is leased to this mcache:
 * what the words say is believed only as far as the server's own books agree. */
static void unclaim(struct ga_heap *heap, ga_mcache_id mcache, ga_span_class span_class)
{
    if (span_class == GA_SPAN_CLASS_TINY) {
        leave_tiny(heap, mcache);
        return;
    }
    uint64_t where = ga_load_relaxed(&heap->view.mcaches[mcache].where[span_class]);
    ga_page_id page = ga_where_page(where);
    if (page == 0 || page >= heap->npages_committed)
        return;
    const struct ga_mspan *span = &heap->mspans[page];
    uint32_t nslots = ga_mheap_nslots(span_class);
    if (span->place == GA_SPAN_LEASED && span->owner == mcache && span->span_class == span_class &&
        ga_where_word(where) < ga_word_count(nslots))
        ga_slot_unclaim(&heap->view, mcache, span_class, where, nslots);
}

/* ---- the objects of a private client ---- */

static void free_objects(struct ga_heap *heap, ga_page_id page)
{
    const struct ga_mspan *span = &heap->mspans[page];
    if (span->span_class == GA_SPAN_CLASS_TINY) {
        ga_tiny_free_all(&heap->view, page);
        return;
    }
    /* Clients can write this count; who does frees what is held, as it could anyway. */
    bool has_holds = ga_load_relaxed(&heap->view.lines[page].nholds) != 0;
    uint32_t nslots = ga_mheap_nslots(span->span_class);
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t slots =
            ga_valid_mask(nslots, word) & ~ga_free_bits(&heap->view, page, word, nslots);
        if (has_holds)
            slots &= ~ga_holds_put_off_word(heap, page, word, slots);
        ga_slot_free_word(&heap->view, page, word, slots);
    }
}

/* ---- slices ---- */

/* Recover one mcache. False if nspans, which is counted down, has run out before. */
static bool recover_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                           uint32_t *nspans)
{
    struct ga_mcache_record *record = &heap->mcaches[mcache];
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    bool is_private = ga_clients_is_private(heap, client);
    /* Large spans have no claimed words; what is in the places for them is forgotten too. */
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        unclaim(heap, mcache, (ga_span_class)c);
        ga_store_release(&shared->classes[c].cache, 0);
    }
    while (record->leased.first) {
        if (*nspans == 0)
            return false;
        --*nspans;
        if (is_private)
            free_objects(heap, record->leased.first);
        ga_lease_end(heap, record->leased.first);
    }

    /* A free that was cut off between changing F and telling is told again. */
    uint64_t telling = ga_load_relaxed(&shared->telling);
    if (telling != 0 && telling < heap->npages_committed)
        ga_slot_tell(&heap->view, (ga_page_id)telling);
    ga_store_release(&shared->telling, 0);
    return true;
}

/* The large spans that the client asked for and that nobody leases. As above. */
static bool recover_large(struct ga_heap *heap, ga_client_id client, uint32_t *nspans)
{
    struct ga_span_list *large = &heap->client_records[client].large;
    while (large->first) {
        if (*nspans == 0)
            return false;
        --*nspans;
        ga_page_id page = large->first;
        if (ga_clients_is_private(heap, client))
            free_objects(heap, page);
        /* Free: freed already, or granted and never taken. */
        if (ga_slot_count_used(&heap->view, page, 1) == 0)
            ga_mheap_free_span(heap, page);
        else
            ga_mheap_disown_large(heap, page);
    }
    return true;
}

/* What is left at once. May be done again. */
static void begin(struct ga_heap *heap, ga_client_id client)
{
    ga_handles_client_gone(heap, client);
    if (ga_clients_is_private(heap, client))
        ga_roots_unpublish_spans(heap, client);
    ga_holds_client_gone(heap, client);
    ga_roots_client_gone(heap, client);
}

void ga_heap_client_leave(struct ga_heap *heap, ga_client_id client)
{
    if (!ga_clients_is_attached(heap, client))
        return;
    ga_store_release(&heap->clients[client].state, GA_CLIENT_LEAVING);
    heap->nclients--;
    heap->nleaving++;
    begin(heap, client);
}

bool ga_heap_recover(struct ga_heap *heap, ga_client_id client, uint32_t nspans)
{
    if (!ga_clients_is_leaving(heap, client))
        return true;
    const struct ga_client_record *record = &heap->client_records[client];
    while (record->first_mcache) {
        if (!recover_mcache(heap, client, record->first_mcache, &nspans))
            return false;
        ga_clients_drop_mcache(heap, client);
    }
    if (!recover_large(heap, client, &nspans))
        return false;
    ga_quota_detach(heap, client);
    heap->nleaving--;
    ga_store_release(&heap->clients[client].state, GA_CLIENT_FREE);
    return true;
}

void ga_heap_client_gone(struct ga_heap *heap, ga_client_id client)
{
    ga_heap_client_leave(heap, client);
    (void)ga_heap_recover(heap, client, UINT32_MAX);
}

bool ga_recover_all(struct ga_heap *heap)
{
    if (heap->nleaving == 0)
        return false;
    for (ga_client_id client = 0; client < heap->client_end && heap->nleaving > 0; client++)
        (void)ga_heap_recover(heap, client, UINT32_MAX);
    return true;
}

void ga_recover_adopt(struct ga_heap *heap)
{
    for (ga_client_id client = 0; client < heap->client_end; client++)
        if (ga_clients_is_leaving(heap, client))
            begin(heap, client);
    (void)ga_recover_all(heap);
}
