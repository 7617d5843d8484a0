/* What a client leaves when it detaches or ends: mcaches, leases, large spans, holds, roots.
 *
 * First its entry says that it is leaving, the commit: from then on it is granted nothing and holds
 * nothing, and whoever takes the heap over goes on here. Then its mcaches are recovered one by one,
 * in slices of about so many spans, and what takes as long; each is given back when the last of its
 * spans is, and the entry at the very end. So no number is used again before everything that bore
 * it is settled, and every step may be broken off and done again.
 *
 * Of a client of policy private every object is freed, as another process would free it: F's bits
 * become A's. The span is then empty, and goes back like any other. So a free by somebody else that
 * races with this is the second of two frees of one object, which the protocol refuses; and what it
 * says of two frees that overlap (shm/README.md) is all that can be said against it. A hold puts
 * off this free like any other. */
#include "server/heap_internal.h"

#include "shm/batch.h"
#include "shm/sample.h"
#include "shm/tiny.h"

/* The dead have one writer left. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + n);
}

/* Clients can write this count; who does frees what is held, as it could anyway. */
static bool has_holds(const struct ga_heap *heap, ga_page_id page)
{
    return ga_line_holds(ga_load_relaxed(&heap->view.lines[page].nholds)) != 0;
}

/* ---- the objects of a private client ---- */

/* Free every object of a span that is not tiny, unless it is held. Returns of how many objects this
 * is the free, or is put off: others may be freeing at the same time, or have before. */
static uint64_t free_slots(struct ga_heap *heap, ga_page_id page, uint32_t nslots)
{
    uint32_t nwords = ga_word_count(nslots);
    uint64_t slots[GA_SPAN_WORDS];
    uint64_t n = 0;
    for (uint32_t word = 0; word < nwords; word++) {
        slots[word] = ga_valid_mask(nslots, word) & ~ga_free_bits(&heap->view, page, word, nslots);
        ga_profiles_freed_slots(heap, page, word, slots[word]);
    }
    if (has_holds(heap, page))
        n += ga_holds_put_off_span(heap, page, slots);
    for (uint32_t word = 0; word < nwords; word++)
        n +=
            (uint32_t)__builtin_popcountll(ga_slot_free_word(&heap->view, page, word, slots[word]));
    return n;
}

/* The same of a tiny span, where nothing is held. */
static uint64_t free_tiny(struct ga_heap *heap, ga_page_id page)
{
    uint64_t n = 0;
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++) {
        struct ga_tiny_pair *pair = &heap->view.tiny[page].pair[word];
        n += (uint32_t)__builtin_popcountll(
            ga_slot_free_bits(&pair->a, &pair->f, ga_tiny_used(pair)));
    }
    return n;
}

/* The same of any span. What is freed is counted by mcache, as if its client had freed it. */
static void free_objects(struct ga_heap *heap, ga_page_id page, ga_mcache_id mcache)
{
    const struct ga_mspan *span = &heap->mspans[page];
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    bool tiny = span->span_class == GA_SPAN_CLASS_TINY;
    uint64_t n =
        tiny ? free_tiny(heap, page) : free_slots(heap, page, ga_mheap_nslots(span->span_class));
    add(&shared->classes[span->span_class].nfree, n);
    if (ga_mspan_is_large(span))
        add(&shared->large_free_bytes, n * span->npages * GA_PAGE_SIZE);
}

/* ---- slices ---- */

/* What an mcache costs, in spans that could be taken back meanwhile. */
#define MCACHE_COST 8u
/* What is recovered before somebody who would be refused asks again. */
#define SLICE 256u

bool ga_recover_takes(uint32_t *left, uint32_t cost)
{
    if (*left == 0)
        return false;
    *left -= cost < *left ? cost : *left;
    return true;
}

static uint32_t span_cost(const struct ga_heap *heap, bool is_private, ga_page_id page)
{
    return is_private && has_holds(heap, page) ? 1 + ga_holds_cost(heap) : 1;
}

/* The large spans that the client asked for and that nobody leases. False if *left has run out
 * before. */
static bool recover_large(struct ga_heap *heap, ga_client_id client, uint32_t *left)
{
    const struct ga_client_record *record = &heap->client_records[client];
    bool is_private = ga_clients_is_private(heap, client);
    while (record->large.first) {
        ga_page_id page = record->large.first;
        if (!ga_recover_takes(left, span_cost(heap, is_private, page)))
            return false;
        if (is_private)
            free_objects(heap, page, record->first_mcache);
        /* Free: freed already, or granted and never taken. */
        if (ga_slot_count_used(&heap->view, page, 1) == 0)
            ga_mheap_free_span(heap, page);
        else
            ga_mheap_disown_large(heap, page);
    }
    return true;
}

/* Recover one mcache. As above. */
static bool recover_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                           uint32_t *left)
{
    const struct ga_mcache_record *record = ga_mcache_record(heap, mcache);
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    bool is_private = ga_clients_is_private(heap, client);
    if (*left == 0)
        return false;
    ga_tiny_leave(&heap->view, mcache);
    ga_batch_recover(&heap->view, mcache);
    while (record->leased.first) {
        ga_page_id page = record->leased.first;
        if (!ga_recover_takes(left, span_cost(heap, is_private, page)))
            return false;
        if (is_private)
            free_objects(heap, page, mcache);
        ga_lease_end(heap, page);
    }

    /* A free that was cut off between changing F and telling is told again. */
    uint64_t telling = ga_load_relaxed(&shared->telling);
    if (telling != 0 && telling < heap->npages_committed)
        ga_slot_tell(&heap->view, (ga_page_id)telling);
    ga_store_release(&shared->telling, 0);
    (void)ga_recover_takes(left, MCACHE_COST); /* at its end: a short slice, too, gets somewhere */
    return true;
}

/* What is done at once. May be done again. */
static void begin(struct ga_heap *heap, ga_client_id client)
{
    ga_handles_client_gone(heap, client);
    if (ga_clients_is_private(heap, client))
        ga_roots_unpublish_spans(heap, client);
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
    const struct ga_client_record *record = &heap->client_records[client];
    uint32_t left = nspans;
    if (!ga_clients_is_leaving(heap, client))
        return true;
    /* Holds first: a private client's own do not keep its objects. Mcaches last: what is freed is
     * counted there. */
    if (!ga_holds_recover(heap, client, &left) || !recover_large(heap, client, &left))
        return false;
    while (record->first_mcache) {
        if (!recover_mcache(heap, client, record->first_mcache, &left))
            return false;
        ga_clients_drop_mcache(heap, client, record->first_mcache);
    }
    ga_quota_detach(heap, client);
    ga_profiles_client_gone(heap, client);
    heap->nleaving--;
    ga_store_release(&heap->clients[client].state, GA_CLIENT_FREE);
    return true;
}

void ga_heap_mcache_gone(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache)
{
    uint32_t left = UINT32_MAX;
    if (!ga_clients_mcache(heap, client, mcache))
        return;
    (void)recover_mcache(heap, client, mcache, &left);
    ga_clients_drop_mcache(heap, client, mcache);
}

void ga_heap_client_gone(struct ga_heap *heap, ga_client_id client)
{
    ga_heap_client_leave(heap, client);
    (void)ga_heap_recover(heap, client, UINT32_MAX);
}

bool ga_recover_some(struct ga_heap *heap)
{
    ga_client_id client = 0;
    if (heap->nleaving == 0)
        return false;
    while (!ga_clients_is_leaving(heap, client))
        client++;
    (void)ga_heap_recover(heap, client, SLICE);
    return true;
}

void ga_recover_adopt_batches(struct ga_heap *heap)
{
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++) {
        uint32_t client_plus_1 = ga_mcache_record(heap, id)->client_plus_1;
        if (client_plus_1 != 0 && ga_clients_is_leaving(heap, client_plus_1 - 1) &&
            ga_batch_is_recovering(&heap->view, id))
            ga_batch_recover(&heap->view, id);
    }
}

void ga_recover_adopt(struct ga_heap *heap)
{
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        if (!ga_clients_is_leaving(heap, client))
            continue;
        begin(heap, client);
        (void)ga_heap_recover(heap, client, UINT32_MAX);
    }
}
