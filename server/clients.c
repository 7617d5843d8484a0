/* Clients and their mcaches. The tables in meta are for everybody to read; what is decided is
 * decided by the records beside them. An id that was given back is used again; what an mcache
 * counted stays, so that the heap's totals never go back. */
#include "server/heap_internal.h"

#include <errno.h>
#include <string.h>

#include "shm/gc_word.h"

bool ga_clients_is_attached(const struct ga_heap *heap, ga_client_id client)
{
    return client < heap->client_end &&
           ga_load_relaxed(&heap->clients[client].state) == GA_CLIENT_ATTACHED;
}

bool ga_clients_is_leaving(const struct ga_heap *heap, ga_client_id client)
{
    return client < heap->client_end &&
           ga_load_relaxed(&heap->clients[client].state) == GA_CLIENT_LEAVING;
}

bool ga_clients_is_private(const struct ga_heap *heap, ga_client_id client)
{
    return heap->clients[client].policy == GA_POLICY_PRIVATE;
}

bool ga_clients_is_apart(const struct ga_heap *heap, ga_client_id client)
{
    return heap->clients[client].policy != GA_POLICY_KEEP || ga_clients_is_managed(heap, client);
}

bool ga_clients_leaves_orphans(const struct ga_heap *heap, ga_client_id client)
{
    /* Every collection asks the managed for their roots. The others' are not known while they live.
     */
    return ga_clients_is_managed(heap, client) ||
           (heap->clients[client].policy == GA_POLICY_UNREACHABLE &&
            ga_clients_is_leaving(heap, client));
}

bool ga_clients_is_served(const struct ga_heap *heap, ga_client_id client)
{
    return ga_clients_is_attached(heap, client) && !heap->client_records[client].quarantined;
}

struct ga_mcache_record *ga_clients_mcache(struct ga_heap *heap, ga_client_id client,
                                           ga_mcache_id mcache)
{
    if (mcache == 0 || mcache >= heap->mcache_end || !ga_clients_is_served(heap, client))
        return NULL;
    struct ga_mcache_record *record = ga_mcache_record(heap, mcache);
    return record->client_plus_1 == client + 1 ? record : NULL;
}

int ga_clients_back_gc_words(struct ga_heap *heap, ga_client_id client, uint32_t count)
{
    return ga_backing_ensure(&heap->bits_backing,
                             heap->meta->bits_gc_words_offset + client * sizeof(uint64_t),
                             count * sizeof(uint64_t));
}

/* Whether the entry is free, and no profile is kept under its number. */
static bool is_unused(const struct ga_heap *heap, ga_client_id client)
{
    return ga_load_relaxed(&heap->clients[client].state) == GA_CLIENT_FREE &&
           !ga_profiles_is_kept(heap, client);
}

/* The lowest entry that is unused, its memory backed; or one whose profile is let go. */
static int find_entry(struct ga_heap *heap, ga_client_id *ret)
{
    ga_client_id client = 0;
    while (client < heap->client_end && !is_unused(heap, client))
        client++;
    if (client == heap->client_end) {
        ga_client_id oldest = ga_profiles_oldest(heap);
        client = oldest < heap->counts.clients ? oldest : client;
    }
    if (client == heap->counts.clients)
        return -EAGAIN;
    if (client == heap->client_end) {
        int r =
            ga_backing_ensure(&heap->meta_backing,
                              heap->meta->clients_offset + client * sizeof(struct ga_client_entry),
                              sizeof(struct ga_client_entry));
        if (r == 0)
            r = ga_handles_back(heap, client, 1);
        if (r == 0)
            r = ga_clients_back_gc_words(heap, client, 1);
        if (r == 0)
            r = ga_profiles_back_entries(heap, client, 1);
        if (r < 0)
            return r;
        ga_store_release(&heap->meta->client_end, ++heap->client_end);
    }
    *ret = client;
    return 0;
}

/* So much of name as there is room for, without half a character (of UTF-8) at its end: no message
 * that has such a name could be sent. */
static void set_name(struct ga_client_entry *entry, const char *name)
{
    size_t length = strnlen(name, sizeof(entry->name) - 1);
    while (length > 0 && ((uint8_t)name[length] & 0xc0) == 0x80)
        length--;
    memcpy(entry->name, name, length);
    entry->name[length] = '\0';
}

static int attach(struct ga_heap *heap, uint32_t pid, uint32_t uid, uint32_t gid,
                  uint64_t start_time, const char *client_name, ga_client_id *ret_client)
{
    ga_client_id client = 0;
    int r = find_entry(heap, &client);
    if (r < 0)
        return r;
    r = ga_quota_attach(heap, client, uid, true);
    if (r < 0)
        return r;
    struct ga_client_entry *entry = &heap->clients[client];
    entry->pid = pid;
    entry->uid = uid;
    entry->gid = gid;
    entry->start_time = start_time;
    entry->attached_ms = heap->effects.wall_ms(heap->effects.data);
    entry->policy = GA_POLICY_KEEP;
    set_name(entry, client_name);
    entry->flags = 0;
    ga_handles_begin(heap, client);
    ga_profiles_begin(heap, client);
    ga_store_release(&heap->view.gc_words[client], ga_gc_word(GA_GC_RUNNING, 0));
    ga_journal_forget_outcomes(entry);
    ga_store_release(&entry->state, GA_CLIENT_ATTACHED);
    ga_heap_sign_bits(heap);

    heap->client_records[client] =
        (struct ga_client_record){.attached_ms = heap->effects.now_ms(heap->effects.data)};
    heap->nclients++;
    *ret_client = client;
    return 0;
}

int ga_heap_attach(struct ga_heap *heap, uint32_t pid, uint32_t uid, uint32_t gid,
                   uint64_t start_time, const char *client_name, ga_client_id *ret_client)
{
    int r = attach(heap, pid, uid, gid, start_time, client_name, ret_client);
    while (r < 0 && ga_recover_some(heap))
        r = attach(heap, pid, uid, gid, start_time, client_name, ret_client);
    return r;
}

int ga_heap_set_policy(struct ga_heap *heap, ga_client_id client, uint32_t policy)
{
    if (policy >= GA_POLICY_COUNT)
        return -EINVAL;
    if (!ga_clients_is_attached(heap, client) || heap->client_records[client].first_mcache)
        return -EPERM;
    heap->clients[client].policy = (uint16_t)policy;
    return 0;
}

int ga_heap_set_managed(struct ga_heap *heap, ga_client_id client)
{
    if (!ga_clients_is_attached(heap, client) || heap->client_records[client].first_mcache)
        return -EPERM;
    heap->clients[client].flags |= GA_CLIENT_MANAGED;
    return 0;
}

bool ga_heap_has_managed(const struct ga_heap *heap)
{
    bool found = false;
    for (ga_client_id client = 0; !found && client < heap->client_end; client++)
        found = ga_clients_is_attached(heap, client) && ga_clients_is_managed(heap, client);
    return found;
}

_Atomic uint64_t *ga_heap_gc_word(struct ga_heap *heap, ga_client_id client)
{
    return &heap->view.gc_words[client];
}

void ga_heap_beat(struct ga_heap *heap)
{
    _Atomic uint64_t *beat = &heap->meta->gc_beat;
    ga_store_relaxed(beat, ga_load_relaxed(beat) + 1); /* has no other writer */
}

uint64_t ga_heap_managed_bytes(const struct ga_heap *heap)
{
    return heap->managed_bytes;
}

void ga_clients_count_grant(struct ga_heap *heap, uint32_t client_plus_1, uint64_t npages)
{
    if (client_plus_1 != 0 && ga_clients_is_managed(heap, client_plus_1 - 1))
        heap->managed_bytes += npages * GA_PAGE_SIZE;
}

bool ga_clients_is_managed(const struct ga_heap *heap, ga_client_id client)
{
    return heap->clients[client].flags & GA_CLIENT_MANAGED;
}

/* An id that nobody has: one given back, else the next that was never used, its memory backed. */
static int find_mcache(struct ga_heap *heap, ga_mcache_id *ret)
{
    if (heap->unused_mcache) {
        *ret = heap->unused_mcache;
        heap->unused_mcache = ga_mcache_record(heap, *ret)->next;
        return 0;
    }
    ga_mcache_id id = heap->mcache_end;
    if (id == heap->counts.mcaches)
        return -EAGAIN;
    int r = ga_books_have_mcache(heap, id);
    if (r == 0)
        r = ga_backing_ensure(&heap->bits_backing,
                              heap->meta->bits_mcaches_offset + id * sizeof(struct ga_mcache),
                              sizeof(struct ga_mcache));
    if (r == 0)
        r = ga_backing_ensure(&heap->meta_backing,
                              heap->meta->mcaches_offset + id * sizeof(struct ga_mcache_entry),
                              sizeof(struct ga_mcache_entry));
    if (r < 0)
        return r;
    ga_store_release(&heap->meta->mcache_end, ++heap->mcache_end);
    *ret = id;
    return 0;
}

/* Give an id back. Where its ring was stays known: no sequence is used twice. */
static void unuse_mcache(struct ga_heap *heap, ga_mcache_id id)
{
    struct ga_mcache_record *record = ga_mcache_record(heap, id);
    *record =
        (struct ga_mcache_record){.next = heap->unused_mcache, .ring_head = record->ring_head};
    heap->unused_mcache = id;
}

/* On an mcache that nobody has, which nobody else counts on either. */
void ga_clients_count_frees(struct ga_heap *heap, ga_span_class span_class, uint64_t n,
                            uint64_t bytes)
{
    ga_mcache_id id = heap->unused_mcache;
    if (n == 0 || (id == 0 && find_mcache(heap, &id) < 0))
        return;
    struct ga_mcache *shared = &heap->view.mcaches[id];
    ga_fetch_add_relaxed(&shared->classes[span_class].nfree, n);
    if (span_class < 2)
        ga_fetch_add_relaxed(&shared->large_free_bytes, bytes);
    if (id != heap->unused_mcache)
        unuse_mcache(heap, id);
}

static int new_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id *ret_mcache)
{
    if (!ga_clients_is_served(heap, client))
        return -EPERM;
    int r = ga_quota_take(heap, client, GA_QUOTA_MCACHES);
    if (r < 0)
        return r;
    ga_mcache_id id = 0;
    bool is_first = heap->unused_mcache == 0;
    r = find_mcache(heap, &id);
    if (r == 0) {
        r = ga_ring_prepare(heap, id);
        if (r < 0)
            unuse_mcache(heap, id);
    }
    if (r < 0) {
        ga_quota_give(heap, client, GA_QUOTA_MCACHES);
        return r;
    }

    struct ga_client_record *owner = &heap->client_records[client];
    struct ga_mcache_record *record = ga_mcache_record(heap, id);
    record->client_plus_1 = client + 1;
    record->next = owner->first_mcache;
    owner->first_mcache = id;
    owner->nmcaches++;
    heap->nmcaches++;
    /* Of one that nobody had all counts are 0. The store is for a heap of private memory, of which
     * a page that is read first has two faults. */
    if (is_first)
        ga_store_relaxed(&heap->view.mcaches[id].large_alloc_bytes, 0);
    else
        ga_counters_begin(&heap->view.mcaches[id]);
    ga_store_release(&heap->mcache_entries[id].client, client + 1);
    *ret_mcache = id;
    return 0;
}

int ga_heap_client_back(struct ga_heap *heap, ga_client_id client)
{
    if (!ga_clients_is_attached(heap, client))
        return -EPERM;
    for (ga_mcache_id id = heap->client_records[client].first_mcache; id;
         id = ga_mcache_record(heap, id)->next)
        ga_lease_end_unbegun(heap, id);
    ga_lease_free_untaken(heap, client);
    return 0;
}

void ga_heap_collect_returned(struct ga_heap *heap, ga_client_id client)
{
    if (!ga_clients_is_attached(heap, client))
        return;
    for (ga_mcache_id id = heap->client_records[client].first_mcache; id;
         id = ga_mcache_record(heap, id)->next)
        ga_lease_end_returned(heap, id);
}

int ga_heap_new_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id *ret_mcache)
{
    int r = new_mcache(heap, client, ret_mcache);
    while (r < 0 && ga_recover_some(heap))
        r = new_mcache(heap, client, ret_mcache);
    return r;
}

void ga_clients_drop_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id id)
{
    struct ga_client_record *record = &heap->client_records[client];
    ga_mcache_id *link = &record->first_mcache;
    while (*link != id)
        link = &ga_mcache_record(heap, *link)->next;
    ga_store_release(&heap->mcache_entries[id].client, 0);
    *link = ga_mcache_record(heap, id)->next;
    record->nmcaches--;
    unuse_mcache(heap, id);
    ga_quota_give(heap, client, GA_QUOTA_MCACHES);
    heap->nmcaches--;
}

int ga_heap_next_client(struct ga_heap *heap, uint32_t client, struct ga_client_info *ret)
{
    while (client < heap->client_end && !ga_clients_is_attached(heap, client))
        client++;
    if (client >= heap->client_end)
        return -ENOENT;
    const struct ga_client_entry *entry = &heap->clients[client];
    const struct ga_client_record *record = &heap->client_records[client];
    struct ga_client_info info = {
        .client = client,
        .pid = entry->pid,
        .start_time = entry->start_time,
        .uid = entry->uid,
        .mcaches = record->nmcaches,
        .attached_ms = heap->effects.now_ms(heap->effects.data) - record->attached_ms,
        .quarantined = record->quarantined,
        .policy = entry->policy,
        .managed = ga_clients_is_managed(heap, client),
        .slots = ga_view_count_handles(&heap->view, client),
    };
    memcpy(info.name, entry->name, sizeof(entry->name));
    struct ga_counters counters = {0};
    for (ga_mcache_id id = record->first_mcache; id; id = ga_mcache_record(heap, id)->next) {
        ga_counters_add_since(&heap->view.mcaches[id], &counters);
        info.spans += ga_mcache_record(heap, id)->leased.count;
        info.leased_bytes += ga_mcache_record(heap, id)->leased_bytes;
    }
    info.mallocs = ga_counters_mallocs(&counters);
    info.frees = ga_counters_frees(&counters);
    *ret = info;
    return 0;
}

int ga_heap_get_client_stats(struct ga_heap *heap, ga_client_id client, struct ga_client_stats *ret)
{
    struct ga_client_stats stats = {0};
    if (ga_heap_next_client(heap, client, &stats.info) < 0 || stats.info.client != client)
        return -ENOENT;
    ga_mcache_id id = heap->client_records[client].first_mcache;
    for (; id; id = ga_mcache_record(heap, id)->next) {
        ga_counters_add_since(&heap->view.mcaches[id], &stats.counters);
        for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
            stats.spans_by_class[c] += ga_mcache_record(heap, id)->leased_by_class[c];
    }
    *ret = stats;
    return 0;
}

/* When a client of the table has attached, by the effects' clock. */
static uint64_t attached_ms(const struct ga_heap *heap, const struct ga_client_entry *entry)
{
    uint64_t wall_ms = heap->effects.wall_ms(heap->effects.data);
    uint64_t ago_ms = wall_ms > entry->attached_ms ? wall_ms - entry->attached_ms : 0;
    return heap->effects.now_ms(heap->effects.data) - ago_ms;
}

int ga_clients_rebuild(struct ga_heap *heap)
{
    heap->client_end = ga_load_relaxed(&heap->meta->client_end);
    heap->mcache_end = ga_load_relaxed(&heap->meta->mcache_end);
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        uint32_t state = ga_load_relaxed(&heap->clients[client].state);
        if (state == GA_CLIENT_FREE)
            continue;
        heap->client_records[client] = (struct ga_client_record){
            .attached_ms = attached_ms(heap, &heap->clients[client]),
        };
        int r = ga_quota_attach(heap, client, heap->clients[client].uid, false);
        if (r < 0)
            return r;
        heap->nclients += state == GA_CLIENT_ATTACHED;
        heap->nleaving += state == GA_CLIENT_LEAVING;
    }
    /* From the end, so that low ids are used first. */
    for (ga_mcache_id id = heap->mcache_end; --id > 0;) {
        struct ga_mcache_record *record = ga_mcache_record(heap, id);
        uint32_t client_plus_1 = ga_load_relaxed(&heap->mcache_entries[id].client);
        if (client_plus_1 == 0) {
            record->next = heap->unused_mcache;
            heap->unused_mcache = id;
            continue;
        }
        struct ga_client_record *owner = &heap->client_records[client_plus_1 - 1];
        *record =
            (struct ga_mcache_record){.client_plus_1 = client_plus_1, .next = owner->first_mcache};
        owner->first_mcache = id;
        owner->nmcaches++;
        heap->nmcaches++;
        ga_quota_enter(heap, client_plus_1 - 1, GA_QUOTA_MCACHES);
    }
    return 0;
}
