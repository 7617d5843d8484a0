/* Words of living mcaches that cannot be, whatever their threads are at. A word is judged only
 * where the protocol of a slot (shm/README.md) lets it mean one thing at any time:
 *
 *   tiny        a block of a span that is leased to the mcache: it names nothing before its span's
 *               lease ends
 *   telling     a page that is committed, or 0
 *   batch_where one, too
 *   ring_taken  at most what was put into the ring, and as much of it as the ring has room for
 *   into_handle the number of a handle, or 0
 *
 * Every client can write every mcache, so such words tell that somebody has spoilt them, and not
 * who: they are no proof against their owner, and nothing follows from them but that they are told
 * of, once for each mcache. */
#include "server/heap_internal.h"

#include "shm/batch.h"
#include "shm/ring.h"
#include "shm/tiny.h"

static bool is_leased_to(const struct ga_heap *heap, ga_mcache_id mcache, uint64_t page,
                         uint32_t span_class)
{
    if (page == 0 || page >= heap->npages_committed)
        return false;
    const struct ga_mspan *span = &heap->mspans[page];
    return span->place == GA_SPAN_LEASED && span->owner == mcache && span->span_class == span_class;
}

/* What is wrong with the words of mcache, or NULL. */
static const char *judge(const struct ga_heap *heap, ga_mcache_id mcache)
{
    struct ga_mcache *shared = &heap->view.mcaches[mcache];
    uint64_t tiny_page = ga_tiny_page(ga_load_acquire(&shared->tiny));
    if (ga_load_acquire(&shared->telling) >= heap->npages_committed &&
        ga_load_acquire(&shared->telling) != 0)
        return "tells of a page that there is not";
    if (ga_batch_page(ga_load_acquire(&shared->batch_where)) >= heap->npages_committed &&
        ga_load_acquire(&shared->batch_where) != 0)
        return "frees slots in a page that there is not";
    if (ga_load_acquire(&shared->into_handle) > GA_HANDLE_COUNT)
        return "allocates into a slot that there is not";
    if (!ga_ring_count_can_be(heap, mcache))
        return "has taken more from its ring than was put there";
    if (tiny_page != 0 && !is_leased_to(heap, mcache, tiny_page, GA_SPAN_CLASS_TINY))
        return "carves tiny objects from what is not leased to it";
    return NULL;
}

static bool suspect(struct ga_heap *heap, ga_mcache_id mcache, struct ga_suspicion *ret)
{
    uint32_t client_plus_1 = ga_mcache_record(heap, mcache)->client_plus_1;
    /* What is left of one who is leaving is in motion. */
    if (client_plus_1 == 0 || ga_mcache_record(heap, mcache)->suspected ||
        !ga_clients_is_attached(heap, client_plus_1 - 1))
        return false;
    const char *what = judge(heap, mcache);
    if (!what)
        return false;
    ga_mcache_record(heap, mcache)->suspected = true;
    *ret = (struct ga_suspicion){.client = client_plus_1 - 1, .mcache = mcache, .what = what};
    return true;
}

bool ga_heap_suspect_next(struct ga_heap *heap, uint32_t *cursor, uint32_t *left,
                          struct ga_suspicion *ret)
{
    /* No need to look at one twice. */
    if (*left > heap->mcache_end)
        *left = heap->mcache_end;
    while (*left > 0) {
        --*left;
        *cursor = *cursor + 1 < heap->mcache_end ? *cursor + 1 : 1;
        if (*cursor < heap->mcache_end && suspect(heap, *cursor, ret))
            return true;
    }
    return false;
}

bool ga_heap_suspect_client(struct ga_heap *heap, ga_client_id client, uint32_t most,
                            struct ga_suspicion *ret)
{
    if (!ga_clients_is_attached(heap, client))
        return false;
    ga_mcache_id id = heap->client_records[client].first_mcache;
    for (; id && most > 0; id = ga_mcache_record(heap, id)->next, most--)
        if (suspect(heap, id, ret))
            return true;
    return false;
}

void ga_heap_quarantine(struct ga_heap *heap, ga_client_id client)
{
    if (ga_clients_is_attached(heap, client))
        heap->client_records[client].quarantined = true;
}
