#include "client/tiny.h"

#include "client/mcache.h"

void *ga_alloc_tiny(struct goalloc_heap *heap, size_t size, size_t alignment)
{
    uint32_t least = ga_tiny_alignment(size);
    uint32_t wanted = alignment > least ? (uint32_t)alignment : least;
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    void *p = cache ? ga_tiny_take(cache, size, wanted) : NULL;
    return p ? p : ga_alloc_slowly(heap, GA_SPAN_CLASS_TINY, size, wanted);
}

void ga_tiny_let_go(struct ga_thread_cache *cache)
{
    uint64_t tiny = ga_load_relaxed(&cache->shared->tiny);
    ga_page_id page = ga_tiny_page(tiny);
    if (page != cache->classes[GA_SPAN_CLASS_TINY].page)
        tiny &= ~GA_TINY_PAGE_MASK; /* overwritten: what it names is not ours to touch */
    ga_tiny_leave(&cache->heap->view, cache->id, tiny);
}

bool ga_tiny_claim(struct ga_thread_cache *cache, ga_page_id page)
{
    struct ga_class_cache *class = &cache->classes[GA_SPAN_CLASS_TINY];
    ga_tiny_let_go(cache);
    /* On from where the last block was, so that a span is walked through once. */
    uint32_t from = page == class->page ? class->word : 0;
    uint32_t block;
    if (!ga_tiny_adopt(&cache->heap->view, cache->id, page, from, &block))
        return false;
    class->page = page;
    class->word = block / GA_TINY_WORD_NBLOCKS;
    class->word_base = (char *)cache->heap->base + ((uint64_t)page << GA_PAGE_SHIFT) +
                       (uint64_t)block * GA_TINY_BLOCK_BYTES;
    return true;
}

bool ga_tiny_free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    bool emptied;
    if (!ga_tiny_free(&cache->heap->view, slot, &emptied))
        return false;
    if (emptied)
        ga_mcache_freed(cache, GA_SPAN_CLASS_TINY, slot->page,
                        ga_mcache_word_is_free(cache, GA_SPAN_CLASS_TINY, slot->page,
                                               slot->index / GA_TINY_UNITS / GA_TINY_WORD_NBLOCKS));
    return true;
}
