/* Each answer is one piece of memory: the envelope, its body, and for a list the entries and the
 * pointers to them, as many as were counted first. What only the server knows is 0: its uptime,
 * how long ago clients attached, and how the memory of meta and bits is divided. */
#include "client/ctl/shm_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/arenas.h"
#include "shm/counters.h"
#include "shm/slot.h"

static int out_of_memory(void)
{
    fputs("goallocctl: out of memory\n", stderr);
    return -ENOMEM;
}

/* Entries of a list and the pointers to them, behind a body. */
#define DEFINE_LIST(NAME, ENTRY, BODY)                                                             \
    struct NAME {                                                                                  \
        Goalloc__V1__Envelope envelope;                                                            \
        BODY body;                                                                                 \
        ENTRY **pointers;                                                                          \
        ENTRY entries[];                                                                           \
    };                                                                                             \
    static struct NAME *NAME##_new(size_t count)                                                   \
    {                                                                                              \
        struct NAME *list = calloc(1, sizeof(*list) + count * (sizeof(ENTRY) + sizeof(ENTRY *)));  \
        if (!list)                                                                                 \
            return NULL;                                                                           \
        list->pointers = (ENTRY **)(void *)&list->entries[count];                                  \
        for (size_t i = 0; i < count; i++)                                                         \
            list->pointers[i] = &list->entries[i];                                                 \
        goalloc__v1__envelope__init(&list->envelope);                                              \
        return list;                                                                               \
    }
DEFINE_LIST(arena_list, Goalloc__V1__ArenaInfo, Goalloc__V1__ArenaList)
DEFINE_LIST(span_list, Goalloc__V1__SpanInfo, Goalloc__V1__SpanList)
DEFINE_LIST(client_list, Goalloc__V1__ClientInfo, Goalloc__V1__ClientList)
DEFINE_LIST(root_list, Goalloc__V1__Root, Goalloc__V1__RootList)
DEFINE_LIST(stats_list, Goalloc__V1__ClassStats, Goalloc__V1__Stats)
DEFINE_LIST(status_only, Goalloc__V1__Envelope, Goalloc__V1__Status)

/* The client number that an mcache or a large span says, if such a client can be. */
static uint32_t client_of(const struct ga_shm_heap *heap, uint64_t entry, uint64_t page)
{
    uint32_t client = 0;
    ga_mcache_id owner = ga_entry_owner(entry);
    if (owner != 0 && owner < heap->mcache_end)
        client = ga_load_relaxed(&heap->view.mcache_entries[owner].client);
    else if (owner == 0 && entry & GA_ENTRY_LARGE)
        client = ga_entry_owner(ga_view_entry(&heap->view, page + 1));
    return client <= heap->client_end ? client : 0;
}

static uint32_t slots_of(ga_span_class span_class)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_NBLOCKS;
    return span_class / 2 == 0 ? 1 : ga_size_classes[span_class / 2].nslots;
}

static void fill_span(const struct ga_shm_heap *heap, uint64_t page, uint64_t entry,
                      Goalloc__V1__SpanInfo *ret)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    goalloc__v1__span_info__init(ret);
    ret->page = (uint32_t)page;
    ret->npages = (uint32_t)ga_entry_npages(entry);
    ret->span_class = span_class;
    ret->owner = ga_entry_owner(entry);
    ret->slots = slots_of(span_class);
    ret->used = ga_slot_count_used(&heap->view, (ga_page_id)page, ret->slots);
    ret->client = client_of(heap, entry, page);
}

static int list_spans(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct ga_recount count;
    int r = ga_shm_heap_recount(heap, &count);
    if (r < 0)
        return r;
    struct span_list *list = span_list_new(count.spans);
    if (!list)
        return out_of_memory();
    goalloc__v1__span_list__init(&list->body);
    list->body.spans = list->pointers;
    uint64_t entry;
    for (uint64_t page = 1; ga_recount_next_span(&heap->view, &page, &entry) == 0;
         page += ga_entry_npages(entry))
        fill_span(heap, page, entry, &list->entries[list->body.n_spans++]);
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST;
    list->envelope.span_list = &list->body;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

static int list_arenas(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct ga_arena_info info;
    size_t count = 0;
    for (uint64_t i = 0; ga_arenas_next(&heap->view, i, &info) == 0; i += info.count)
        count++;
    struct arena_list *list = arena_list_new(count);
    if (!list)
        return out_of_memory();
    goalloc__v1__arena_list__init(&list->body);
    list->body.arenas = list->pointers;
    for (uint64_t i = 0; ga_arenas_next(&heap->view, i, &info) == 0; i += info.count) {
        Goalloc__V1__ArenaInfo *arena = &list->entries[list->body.n_arenas++];
        goalloc__v1__arena_info__init(arena);
        arena->index = (uint32_t)info.index;
        arena->count = (uint32_t)info.count;
        arena->state = info.state;
        arena->ready_npages = (uint32_t)info.ready_npages;
        arena->inuse_npages = (uint32_t)info.inuse_npages;
    }
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_ARENA_LIST;
    list->envelope.arena_list = &list->body;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

static bool is_attached(const struct ga_shm_heap *heap, uint32_t client)
{
    return ga_load_relaxed(&heap->view.clients[client].state) == GA_CLIENT_ATTACHED;
}

static int list_clients(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct client_list *list = client_list_new(heap->client_end);
    if (!list)
        return out_of_memory();
    goalloc__v1__client_list__init(&list->body);
    list->body.clients = list->pointers;
    for (uint32_t i = 0; i < heap->client_end; i++) {
        if (!is_attached(heap, i))
            continue;
        const struct ga_client_entry *entry = &heap->view.clients[i];
        Goalloc__V1__ClientInfo *client = &list->entries[list->body.n_clients++];
        goalloc__v1__client_info__init(client);
        client->client = i + 1;
        client->pid = entry->pid;
        client->uid = entry->uid;
        client->policy = entry->policy;
        client->managed = entry->flags & GA_CLIENT_MANAGED;
        client->name = (char *)(uintptr_t)entry->name; /* not const in protobuf-c; only read */
        struct ga_counters counters = {0};
        for (ga_mcache_id id = 1; id < heap->mcache_end; id++) {
            const struct ga_mcache_entry *mcache = &heap->view.mcache_entries[id];
            if (ga_load_relaxed(&mcache->client) != i + 1)
                continue;
            ga_counters_add_since(&heap->view.mcaches[id], &counters);
            client->mcaches++;
            client->spans += ga_load_relaxed(&mcache->nspans);
            client->leased_bytes += ga_load_relaxed(&mcache->leased_bytes);
        }
        client->slots = ga_view_count_handles(&heap->view, i);
        client->mallocs = ga_counters_mallocs(&counters);
        client->frees = ga_counters_frees(&counters);
    }
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_CLIENT_LIST;
    list->envelope.client_list = &list->body;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

static int list_roots(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct root_list *list = root_list_new(heap->root_end);
    if (!list)
        return out_of_memory();
    goalloc__v1__root_list__init(&list->body);
    list->body.roots = list->pointers;
    for (uint32_t i = 0; i < heap->root_end; i++) {
        const struct ga_root_entry *entry = &heap->view.roots[i];
        if (!ga_load_relaxed(&entry->used))
            continue;
        Goalloc__V1__Root *root = &list->entries[list->body.n_roots++];
        goalloc__v1__root__init(root);
        root->name = (char *)(uintptr_t)entry->name;
        root->offset = ga_load_relaxed(&entry->offset);
        root->client = entry->client <= heap->client_end ? entry->client : 0;
    }
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST;
    list->envelope.root_list = &list->body;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

/* The counters of all mcaches there have been, as the server adds them up. */
static void add_counters(const struct ga_shm_heap *heap, struct stats_list *list)
{
    struct ga_counters counters = {0};
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++)
        ga_counters_add(&heap->view.mcaches[id], &counters);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        list->entries[c].mallocs = counters.mallocs[c];
        list->entries[c].frees = counters.frees[c];
        list->body.total_alloc_bytes += ga_counters_alloc_bytes(&counters, c);
    }
    list->body.mallocs = ga_counters_mallocs(&counters);
    list->body.frees = ga_counters_frees(&counters);
}

/* What is marked as given back; the server may be about to punch some of it. */
static uint64_t count_released(const struct ga_shm_heap *heap)
{
    uint64_t npages = ga_load_relaxed(&heap->view.meta->committed_npages);
    uint64_t count = 0;
    for (uint64_t page = 1; page < npages; page++)
        count += ga_view_entry(&heap->view, page) == GA_ENTRY_SCAVENGED;
    return count * GA_PAGE_SIZE;
}

static int get_stats(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct ga_recount count;
    int r = ga_shm_heap_recount(heap, &count);
    if (r < 0)
        return r;
    struct stats_list *list = stats_list_new(GA_SIZE_CLASS_COUNT);
    if (!list)
        return out_of_memory();
    Goalloc__V1__Stats *body = &list->body;
    goalloc__v1__stats__init(body);
    body->by_class = list->pointers;
    body->n_by_class = GA_SIZE_CLASS_COUNT;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        goalloc__v1__class_stats__init(&list->entries[c]);
        list->entries[c].size_class = c;
        list->entries[c].size_bytes = ga_size_classes[c].size;
        list->entries[c].spans = count.spans_by_class[c];
        list->entries[c].alloc_bytes = count.bytes_by_class[c];
    }
    add_counters(heap, list);
    body->alloc_bytes = count.alloc_bytes;
    body->heap_objects = count.objects;
    body->heap_sys_bytes = ga_load_relaxed(&heap->view.meta->committed_npages) * GA_PAGE_SIZE;
    body->heap_inuse_bytes = count.inuse_npages * GA_PAGE_SIZE;
    body->heap_idle_bytes = body->heap_sys_bytes - body->heap_inuse_bytes;
    body->heap_released_bytes = count_released(heap);
    body->meta_bytes = heap->meta_sys_bytes;
    body->bits_bytes = heap->bits_sys_bytes;
    body->sys_bytes = body->heap_sys_bytes + body->meta_bytes + body->bits_bytes;
    body->spans_inuse = count.spans;
    body->spans_leased = count.spans_leased;
    body->leased_bytes = count.leased_bytes;
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_STATS;
    list->envelope.stats = body;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

static void count_arenas(const struct ga_shm_heap *heap, Goalloc__V1__Status *status)
{
    struct ga_arena_info info;
    for (uint64_t i = 0; ga_arenas_next(&heap->view, i, &info) == 0; i += info.count) {
        status->arenas_ready += info.state == GA_ARENA_READY ? (uint32_t)info.count : 0;
        status->arenas_prepared += info.state == GA_ARENA_PREPARED ? (uint32_t)info.count : 0;
        status->arenas_reserved += info.state == GA_ARENA_RESERVED ? (uint32_t)info.count : 0;
        status->inuse_bytes += info.inuse_npages * GA_PAGE_SIZE;
    }
}

static int get_status(const struct ga_shm_heap *heap, struct ga_answer *ret)
{
    struct status_only *list = status_only_new(0);
    if (!list)
        return out_of_memory();
    const struct ga_meta_header *header = heap->view.meta;
    Goalloc__V1__Status *status = &list->body;
    goalloc__v1__status__init(status);
    status->heap_name = (char *)(uintptr_t)header->name;
    status->server_version = (char *)(uintptr_t)header->server_version;
    status->server_pid = header->server_pid;
    status->heap_base = header->base;
    status->reserve_bytes = header->reserve_bytes;
    status->limit_bytes = ga_load_relaxed(&header->limit_bytes);
    status->committed_bytes = ga_load_relaxed(&header->committed_npages) * GA_PAGE_SIZE;
    status->released_bytes = count_released(heap);
    status->layout_version = header->layout_version;
    count_arenas(heap, status);
    for (uint32_t i = 0; i < heap->client_end; i++)
        status->clients += is_attached(heap, i);
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++)
        status->mcaches += ga_load_relaxed(&heap->view.mcache_entries[id].client) != 0;
    for (uint32_t i = 0; i < heap->root_end; i++)
        status->roots += ga_load_relaxed(&heap->view.roots[i].used) != 0;
    list->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_STATUS;
    list->envelope.status = status;
    *ret = (struct ga_answer){.message = &list->envelope, .memory = list};
    return 0;
}

int ga_shm_answer(const struct ga_shm_heap *heap, const Goalloc__V1__Envelope *request,
                  struct ga_answer *ret_answer)
{
    switch (request->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_GET_STATUS:
        return get_status(heap, ret_answer);
    case GOALLOC__V1__ENVELOPE__BODY_GET_STATS:
        return get_stats(heap, ret_answer);
    case GOALLOC__V1__ENVELOPE__BODY_GET_CLIENT_STATS:
        return ga_shm_client_stats(heap, request->get_client_stats->client, ret_answer);
    case GOALLOC__V1__ENVELOPE__BODY_LIST_ARENAS:
        return list_arenas(heap, ret_answer);
    case GOALLOC__V1__ENVELOPE__BODY_LIST_SPANS:
        return list_spans(heap, ret_answer);
    case GOALLOC__V1__ENVELOPE__BODY_LIST_CLIENTS:
        return list_clients(heap, ret_answer);
    default:
        assert(request->body_case == GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS);
        return list_roots(heap, ret_answer);
    }
}
