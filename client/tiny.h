/* Tiny objects of a thread's cache: carving them from the runs of a span, and freeing those of
 * spans that it holds. The protocol is shm/tiny.h's. What is like in other classes (lists of spans,
 * leases, news, returns) is done by mcache.c for the tiny class too. */
#ifndef GA_CLIENT_TINY_H
#define GA_CLIENT_TINY_H

#include "client/class_cache.h"
#include "client/heap.h"
#include "client/sampler.h"
#include "shm/tiny.h"

/* Of the words of A and F side by side, that of an address. */
static inline uintptr_t ga_tiny_pair_offset(uintptr_t at)
{
    return at / (64 * GA_TINY_UNIT_BYTES) * sizeof(struct ga_tiny_pair);
}

static inline struct ga_tiny_pair *ga_tiny_pair_at(const struct ga_tiny_cache *tiny, uintptr_t at)
{
    return (struct ga_tiny_pair *)(tiny->pairs + ga_tiny_pair_offset(at));
}

/* Carve an object. False if it does not fit into the run. */
static inline bool ga_tiny_take(struct ga_thread_cache *cache, const struct ga_tiny_shape *shape,
                                void **ret)
{
    struct ga_mcache *shared = cache->shared;
    uint64_t unit;
    if (!ga_tiny_carve(&cache->tiny.carver, &shared->tiny, shape, &unit))
        return false;
    ga_count_one(&shared->classes[GA_SPAN_CLASS_TINY].nmalloc);
    *ret = cache->tiny.base + unit * GA_TINY_UNIT_BYTES;
    return true;
}

/* Allocate a tiny object that does not fit into the run. Ends the operation. NULL with errno. */
void *ga_tiny_alloc_slowly(struct goalloc_heap *heap, struct ga_tiny_shape shape);

/* Allocate a tiny object whose malloc has counted the class down: one that is sampled, in a slot
 * of its own; else as any other. Ends the operation. NULL with errno. */
void *ga_tiny_alloc_counted(struct goalloc_heap *heap, struct ga_tiny_shape shape);

/* Allocate a tiny object by a thread that has no cache at hand, and so has not counted: as above.
 */
void *ga_tiny_alloc_uncounted(struct goalloc_heap *heap, struct ga_tiny_shape shape);

/* Allocate a tiny object. Ends the operation. NULL with errno. */
static inline void *ga_tiny_alloc(struct goalloc_heap *heap, const struct ga_tiny_shape *shape)
{
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    void *p;
    if (!cache)
        return ga_tiny_alloc_uncounted(heap, *shape);
    if (ga_sampler_count(ga_class_cache_tiny_list(cache)))
        return ga_tiny_alloc_counted(heap, *shape);
    if (!ga_tiny_take(cache, shape, &p))
        return ga_tiny_alloc_slowly(heap, *shape);
    return ga_busy_end_with(p);
}

/* Carve from the span at page from now on. False if it has no run; then from nothing. */
bool ga_tiny_claim(struct ga_thread_cache *cache, ga_page_id page);

/* Carve from nothing. */
void ga_tiny_let_go(struct ga_thread_cache *cache);

/* Free an object of a tiny span that this mcache holds. False, and nothing is changed, if it is not
 * in use. */
bool ga_tiny_free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot);

/* The last object of a word was freed, in a span that is known; it was at this address. Ends the
 * operation. */
void ga_tiny_word_emptied(struct ga_thread_cache *cache, uintptr_t at);

/* Free the object at p, which is in a tiny span that this mcache is known to hold (known.h), if it
 * is in use. True: so it was, and the operation is ended; else nothing has happened. Whether
 * something is held in the span need not be looked at: tiny objects cannot be held. */
static inline bool ga_tiny_free(struct ga_thread_cache *cache, const void *p)
{
    uintptr_t at = (uintptr_t)p;
    uint64_t used;
    if (at % GA_TINY_UNIT_BYTES != 0 ||
        !ga_tiny_free_own(ga_tiny_pair_at(&cache->tiny, at), at / GA_TINY_UNIT_BYTES, &used))
        return false;
    ga_count_one(&cache->shared->classes[GA_SPAN_CLASS_TINY].nfree);
    if (__builtin_expect(used == 0, 0)) {
        ga_tiny_word_emptied(cache, at);
        return true;
    }
    ga_busy_end();
    return true;
}

#endif
