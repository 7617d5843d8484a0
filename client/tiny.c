#include "client/tiny.h"

#include "client/mcache.h"
#include "client/spans.h"

static bool carve_from(struct ga_thread_cache *cache, ga_page_id page, uint32_t word)
{
    struct ga_tiny_cache *tiny = &cache->tiny;
    if (!ga_tiny_find(&tiny->carver, &cache->heap->view, page, word))
        return false;
    tiny->base = (char *)cache->heap->base + ((uint64_t)page << GA_PAGE_SHIFT) +
                 (uint64_t)ga_tiny_word_of(&tiny->carver) * 64 * GA_TINY_UNIT_BYTES;
    return true;
}

/* ---- the spans that are known ---- */

/* A tiny span is known only while it is the current one or on the list: a free in it need not list
 * it. */
static void remember_span(struct ga_thread_cache *cache, ga_page_id page)
{
    cache->tiny.pairs = (uintptr_t)cache->heap->view.tiny - ga_tiny_pair_offset(cache->heap->base);
    ga_known_add(&cache->known, page, GA_SPAN_CLASS_TINY, 0);
}

static void forget_span(struct ga_thread_cache *cache, ga_page_id page)
{
    ga_known_remove(&cache->known, page);
}

/* ---- what mcache.c asks for ---- */

void ga_tiny_let_go(struct ga_thread_cache *cache)
{
    cache->tiny.carver = (struct ga_tiny_carver){0};
    ga_tiny_leave(&cache->heap->view, cache->id);
}

/* The span has no run. It is not on the list either, so the next free is to list it. */
static void turn_away(struct ga_thread_cache *cache, ga_page_id page)
{
    forget_span(cache, page);
    ga_tiny_let_go(cache);
    ga_spans_set_current(cache, ga_class_cache_tiny(cache), 0);
}

bool ga_tiny_claim(struct ga_thread_cache *cache, ga_page_id page)
{
    ga_tiny_let_go(cache);
    if (!carve_from(cache, page, 0)) {
        turn_away(cache, page);
        return false;
    }
    ga_spans_set_current(cache, ga_class_cache_tiny(cache), page);
    return true;
}

/* ---- malloc and free ---- */

__attribute__((noinline)) void *ga_tiny_alloc_slowly(struct goalloc_heap *heap,
                                                     struct ga_tiny_shape shape)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    ga_page_id page = cache && cache->heap ? ga_class_cache_tiny(cache)->page : 0;
    void *p;
    /* The word at hand once more: what was freed there is in the caches of the processor. */
    if (page && carve_from(cache, page, ga_tiny_word_of(&cache->tiny.carver)) &&
        ga_tiny_take(cache, &shape, &p)) {
        return ga_busy_end_with(p);
    }
    if (page)
        turn_away(cache, page);
    return ga_alloc_slowly(heap, GA_SPAN_CLASS_TINY, shape);
}

__attribute__((noinline)) void ga_tiny_word_emptied(struct ga_thread_cache *cache, uintptr_t at)
{
    ga_page_id page = (ga_page_id)((at - cache->heap->base) >> GA_PAGE_SHIFT);
    if (ga_tiny_is_empty(&cache->heap->view, page))
        ga_mcache_freed(cache, GA_SPAN_CLASS_TINY, page, true);
    ga_busy_end();
}

bool ga_tiny_free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    uint32_t word = slot->index / 64;
    uint64_t used;
    if (!ga_tiny_free_own(&cache->heap->view.tiny[slot->page].pair[word], slot->index, &used))
        return false;
    ga_count_one(&cache->shared->classes[GA_SPAN_CLASS_TINY].nfree);
    if (ga_tiny_has_room(used))
        ga_mcache_freed(cache, GA_SPAN_CLASS_TINY, slot->page, used == 0);
    if (ga_spans_is_listed(&cache->heap->view.lines[slot->page]))
        remember_span(cache, slot->page);
    return true;
}
