/* Tiny objects of a thread's cache: carving them from the block that the mcache has adopted. The
 * protocol is shm/tiny.h's. What is like in other classes (lists of spans, leases, news, returns)
 * is done by mcache.c for the tiny class too, with blocks for slots. */
#ifndef GA_CLIENT_TINY_H
#define GA_CLIENT_TINY_H

#include "client/heap.h"
#include "shm/tiny.h"

/* Carve an object from the adopted block; NULL if it has no room. size: 0..GA_TINY_SIZE_MAX;
 * alignment: a power of two up to GA_TINY_ALIGN_MAX. */
static inline void *ga_tiny_take(struct ga_thread_cache *cache, size_t size, uint32_t alignment)
{
    struct ga_mcache_class *counts = &cache->shared->classes[GA_SPAN_CLASS_TINY];
    uint64_t tiny;
    uint32_t unit;
    if (!ga_tiny_carve(ga_load_relaxed(&cache->shared->tiny), size, alignment, &tiny, &unit))
        return NULL;
    ga_store_release(&cache->shared->tiny, tiny);
    ga_store_relaxed(&counts->nmalloc, ga_load_relaxed(&counts->nmalloc) + 1);
    return cache->classes[GA_SPAN_CLASS_TINY].word_base + unit * GA_TINY_UNIT_BYTES;
}

/* Allocate a tiny object. alignment: as asked for, 0 or up to GA_TINY_ALIGN_MAX. NULL with errno.
 */
void *ga_alloc_tiny(struct goalloc_heap *heap, size_t size, size_t alignment);

/* Adopt a free block of the span at page, the old block left. False if there is none; then no block
 * is adopted. */
bool ga_tiny_claim(struct ga_thread_cache *cache, ga_page_id page);

/* Leave the adopted block. */
void ga_tiny_let_go(struct ga_thread_cache *cache);

/* Free an object of a span that this mcache holds. False if it is not in use. */
bool ga_tiny_free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot);

#endif
