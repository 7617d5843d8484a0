/* The heap as a whole: making it and forgetting it. */
#include "server/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/heap_internal.h"

static struct ga_meta_header geometry_of(uint64_t reserve_bytes, bool is_own)
{
    struct ga_meta_header header = {0};
    const struct ga_table_counts counts =
        is_own ? ga_table_counts_of_process(reserve_bytes) : ga_table_counts_of_server();
    ga_geometry_init(&header, reserve_bytes, &counts);
    return header;
}

uint64_t ga_heap_meta_bytes(uint64_t reserve_bytes)
{
    return geometry_of(reserve_bytes, false).meta_bytes;
}

uint64_t ga_heap_bits_bytes(uint64_t reserve_bytes)
{
    return geometry_of(reserve_bytes, false).bits_bytes;
}

int ga_heap_check_config(const struct ga_heap_config *config)
{
    uint64_t reserve = config->reserve_bytes;
    bool good = ga_heap_name_is_valid(config->name) && reserve > 0 &&
                reserve % GA_ARENA_SIZE == 0 && reserve <= GA_RESERVE_MAX && config->base > 0 &&
                config->base % GA_ARENA_SIZE == 0 && config->limit_bytes <= reserve &&
                config->limit_bytes % GA_PAGE_SIZE == 0;
    return good ? 0 : -EINVAL;
}

int ga_heap_set_limits(struct ga_heap *heap, const struct ga_heap_limits *limits)
{
    uint64_t reserve = heap->npages_reserved * GA_PAGE_SIZE;
    uint64_t limit = limits->limit_bytes ? limits->limit_bytes : reserve;
    if (limit > reserve || limit % GA_PAGE_SIZE != 0)
        return -EINVAL;
    if (limit < ga_adopt_least_limit(heap->npages_committed, heap->npages_inuse))
        return -EBUSY;
    heap->npages_limit = limit / GA_PAGE_SIZE;
    ga_store_relaxed(&heap->meta->limit_bytes, limit);
    heap->scavenge.soft_limit_bytes = limits->soft_limit_bytes;
    heap->quota.user_limits = limits->user_quota;
    heap->quota.client_limits = limits->client_quota;
    return 0;
}

/* What is small first: where calloc is core_memory.c's it lies together. */
static int make_books(struct ga_heap *heap, const struct ga_heap_config *config)
{
    const struct ga_meta_header geometry = geometry_of(config->reserve_bytes, config->is_own);
    heap->counts = geometry.counts;
    heap->npages_reserved = config->reserve_bytes / GA_PAGE_SIZE;
    uint64_t limit = config->limit_bytes ? config->limit_bytes : config->reserve_bytes;
    heap->npages_limit = limit / GA_PAGE_SIZE;
    ga_scavenge_init(&heap->scavenge, config);
    heap->mcache_end = 1;
    heap->client_records = calloc(heap->counts.clients, sizeof(*heap->client_records));
    if (!heap->client_records)
        return -ENOMEM;
    uint64_t piece_bytes = config->piece_bytes ? config->piece_bytes : GA_OS_PAGE_SIZE;
    int r = ga_quota_init(&heap->quota, &config->user_quota, &config->client_quota,
                          heap->counts.clients);
    if (r == 0)
        r = ga_backing_init(&heap->meta_backing, &heap->effects, GA_OBJECT_META,
                            geometry.meta_bytes, piece_bytes);
    if (r == 0)
        r = ga_backing_init(&heap->bits_backing, &heap->effects, GA_OBJECT_BITS,
                            geometry.bits_bytes, piece_bytes);
    if (r == 0)
        r = ga_books_init(heap, config->is_own);
    if (r == 0)
        r = ga_page_alloc_new(heap->nmspans, &heap->pages);
    return r;
}

void ga_heap_point_into(struct ga_heap *heap, void *meta, void *bits)
{
    struct ga_meta_header *header = meta;
    char *m = meta;
    heap->meta = header;
    heap->bits_header = bits;
    heap->view = ga_view_of(meta, bits);
    heap->arenas = (void *)(m + header->arenas_offset);
    heap->clients = (void *)(m + header->clients_offset);
    heap->mcache_entries = (void *)(m + header->mcaches_offset);
    heap->rings = (void *)(m + header->rings_offset);
    heap->roots = (void *)(m + header->roots_offset);
    heap->holds = (void *)(m + header->holds_offset);
    heap->profile_entries = (void *)(m + header->profiles_offset);
    heap->page_table = (void *)(m + header->page_table_offset);
}

void ga_heap_sign_bits(struct ga_heap *heap)
{
    *heap->bits_header = (struct ga_bits_header){.magic = GA_BITS_MAGIC,
                                                 .layout_version = GA_LAYOUT_VERSION,
                                                 .header_bytes = sizeof(struct ga_bits_header),
                                                 .heap_id = heap->meta->heap_id};
}

/* So much of text as there is room for. No printf: a process's own heap is made before anything of
 * the C library is in memory that it does not need itself. */
static void copy_text(char *to, size_t bytes, const char *text)
{
    size_t length = strnlen(text, bytes - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

/* Back the headers and the arena table, all of whose entries are 0, and write the headers; the
 * state, which says that all the rest may be read, last. */
static int make_objects(struct ga_heap *heap, const struct ga_heap_config *config, void *meta,
                        void *bits)
{
    struct ga_meta_header geometry = geometry_of(config->reserve_bytes, config->is_own);
    int r = ga_backing_ensure(&heap->meta_backing, 0, sizeof(struct ga_meta_header));
    if (r == 0)
        r = ga_backing_ensure(&heap->meta_backing, geometry.arenas_offset,
                              config->reserve_bytes / GA_ARENA_SIZE *
                                  sizeof(struct ga_arena_entry));
    if (r == 0)
        r = ga_backing_ensure(&heap->bits_backing, 0, sizeof(struct ga_bits_header));
    if (r < 0)
        return r;

    struct ga_meta_header *header = meta;
    geometry.magic = GA_META_MAKING;
    *header = geometry;
    header->layout_version = GA_LAYOUT_VERSION;
    header->header_bytes = sizeof(*header);
    header->server_pid = config->server_pid;
    header->server_start_time = config->server_start_time;
    header->heap_id = config->heap_id;
    header->generation = 1;
    header->created_ms = heap->effects.wall_ms(heap->effects.data);
    header->base = config->base;
    ga_store_relaxed(&header->limit_bytes, heap->npages_limit * GA_PAGE_SIZE);
    header->sample_words = ga_profiles_sample_words(config->profile_rate_bytes);
    ga_store_relaxed(&header->profile_rate_bytes, config->profile_rate_bytes);
    copy_text(header->name, sizeof(header->name), config->name);
    copy_text(header->server_version, sizeof(header->server_version), config->server_version);

    ga_store_relaxed(&header->mcache_end, heap->mcache_end);

    ga_heap_point_into(heap, meta, bits);
    ga_heap_sign_bits(heap);
    atomic_signal_fence(memory_order_seq_cst); /* a kill leaves all of the rest, or no heap */
    header->magic = GA_META_MAGIC;
    ga_store_release(&header->state, GA_HEAP_LIVE);
    return 0;
}

int ga_heap_new_books(const struct ga_heap_config *config, const struct ga_heap_effects *effects,
                      struct ga_heap **ret)
{
    struct ga_heap *heap = calloc(1, sizeof(*heap));
    if (!heap)
        return -ENOMEM;
    heap->effects = *effects;
    heap->started_ms = effects->now_ms(effects->data);
    int r = make_books(heap, config);
    if (r < 0) {
        ga_heap_free(heap);
        return r;
    }
    *ret = heap;
    return 0;
}

int ga_heap_new(const struct ga_heap_config *config, void *meta, void *bits,
                const struct ga_heap_effects *effects, struct ga_heap **ret)
{
    struct ga_heap *heap = NULL;
    int r = ga_heap_check_config(config);
    if (r == 0)
        r = ga_heap_new_books(config, effects, &heap);
    if (r < 0)
        return r;
    r = make_objects(heap, config, meta, bits);
    if (r < 0) {
        ga_heap_free(heap);
        return r;
    }
    *ret = heap;
    return 0;
}

void ga_heap_free(struct ga_heap *heap)
{
    if (!heap)
        return;
    ga_collect_free_books(heap);
    ga_backing_fini(&heap->bits_backing);
    ga_backing_fini(&heap->meta_backing);
    ga_page_alloc_free_all(heap->pages);
    ga_quota_fini(&heap->quota);
    ga_books_fini(heap);
    free(heap->client_records);
    free(heap);
}

void ga_heap_end(struct ga_heap *heap)
{
    ga_store_release(&heap->meta->state, GA_HEAP_ENDED);
}

uint64_t ga_heap_id(const struct ga_heap *heap)
{
    return heap->meta->heap_id;
}

uint64_t ga_heap_generation(const struct ga_heap *heap)
{
    return heap->meta->generation;
}

uint64_t ga_heap_committed_bytes(const struct ga_heap *heap, enum ga_object object)
{
    switch (object) {
    case GA_OBJECT_META:
        return ga_backing_bytes(&heap->meta_backing);
    case GA_OBJECT_BITS:
        return ga_backing_bytes(&heap->bits_backing);
    default:
        return (ga_scavenge_retained(heap) - heap->scavenge.releasing_npages) * GA_PAGE_SIZE;
    }
}

uint64_t ga_heap_extent_bytes(const struct ga_heap *heap)
{
    return heap->npages_committed * GA_PAGE_SIZE;
}
