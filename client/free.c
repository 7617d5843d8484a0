/* Free. Every free is checked before it changes anything: the pointer's slot by lookup.c, and that
 * it is in use here. Who holds the span's lease frees with plain stores; everybody else by the
 * protocol of shm/slot.h. The library's own loop thread takes part in none of it.
 *
 * A free is an operation (busy.h). To end it twice is no harm, as long as nothing lies between. */
#include "client/class_cache.h"
#include "client/fast_path.h"
#include "client/free_by_other.h"
#include "client/heap.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/spans.h"
#include "client/tiny.h"
#include "shm/sample.h"

__attribute__((noinline)) void ga_free_look_at_span(struct goalloc_heap *heap,
                                                    const struct ga_span_line *line,
                                                    _Atomic uint64_t *a_word)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    const struct ga_view *view = &cache->heap->view;
    ga_page_id page = (ga_page_id)(line - view->lines);
    ga_mcache_freed(cache, ga_entry_span_class(ga_view_entry(view, page)), page,
                    ga_slot_used(a_word) == 0);
    ga_busy_end();
}

/* Free a large object whose span this mcache holds, if it is in use. */
static bool free_large(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    _Atomic uint64_t *a_word = ga_view_a(&cache->heap->view, slot->page, 0);
    if ((ga_slot_used(a_word) & 1) == 0)
        return false;
    ga_slot_flip(a_word, 1);
    ga_count_one(&cache->shared->classes[ga_entry_span_class(slot->entry)].nfree);
    ga_large_count_free(cache, ga_entry_npages(slot->entry));
    ga_large_freed(cache, ga_entry_span_class(slot->entry), slot->page);
    return true;
}

/* Free an object whose span this mcache holds. False if it is not in use. */
static bool free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot, void *p)
{
    if (slot->entry & GA_ENTRY_TINY)
        return ga_tiny_free_by_holder(cache, slot);
    if (slot->entry & GA_ENTRY_LARGE)
        return free_large(cache, slot);
    const struct ga_view *view = &cache->heap->view;
    struct ga_free_list *list = ga_class_cache_get(cache, ga_entry_span_class(slot->entry))->list;
    return ga_fast_free_slot(cache->heap, list, &view->lines[slot->page],
                             ga_view_a(view, slot->page, slot->index / 64),
                             UINT64_C(1) << slot->index % 64, p);
}

static void free_found(struct goalloc_heap *heap, void *p)
{
    struct ga_slot slot;
    enum ga_lookup found = ga_lookup_slot(heap, p, &slot);
    if (__builtin_expect(found != GA_LOOKUP_SLOT, 0)) {
        ga_report_bad(heap, "goalloc_free", p, found, &slot);
        return;
    }
    /* seq_cst: pairs with the server's count of a hold; on the line that is read next. */
    uint64_t nholds = ga_load_seq_cst(&heap->view.lines[slot.page].nholds);
    if (ga_line_samples(nholds) != 0)
        ga_profile_freed(heap, &slot, (uintptr_t)p - heap->base);
    if (__builtin_expect(ga_line_holds(nholds) != 0, 0) && ga_free_held(heap, p, &slot))
        return;
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t holder = ga_load_relaxed(&heap->view.lines[slot.page].holder);
    if (!cache || !ga_holder_is_leased_by(holder, cache->id))
        ga_free_by_other(heap, p, &slot);
    else if (!free_by_holder(cache, &slot, p))
        ga_report_bad(heap, "goalloc_free", p, GA_LOOKUP_SLOT, &slot);
}

__attribute__((noinline)) void ga_free_any(struct goalloc_heap *heap, void *p)
{
    if (p)
        free_found(heap, p);
    ga_busy_end();
}

__attribute__((noinline)) void ga_free_among_sampled(struct goalloc_heap *heap, void *p)
{
    const struct ga_view *view = &heap->view;
    const struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t page = ga_known_page(&cache->known, (uintptr_t)p);
    const struct ga_known_page *known = ga_known_look(&cache->known, page);
    struct ga_free_list *list = cache->by_class[known->span_class];
    uint64_t product = (uintptr_t)p % GA_PAGE_SIZE * known->magic;
    if ((uint32_t)product >= known->magic ||
        ga_line_holds(ga_load_seq_cst(&view->lines[page].nholds)) != 0 || /* as above */
        ga_sample_has(view, (uintptr_t)p - heap->base)) {
        ga_free_any(heap, p);
        return;
    }
    uint32_t index = (uint32_t)(product >> 32);
    if (!ga_fast_free_slot(heap, list, &view->lines[page],
                           ga_view_a(view, (ga_page_id)page, index / 64), UINT64_C(1) << index % 64,
                           p))
        ga_free_any(heap, p);
}

/* Of a page that is not known: enter it if this mcache holds it, and a span of small objects begins
 * there. Ends the operation. */
static __attribute__((noinline)) void free_unknown(struct goalloc_heap *heap, void *p)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t page = ((uintptr_t)p - heap->base) >> GA_PAGE_SHIFT;
    if (!cache || page >= ga_load_relaxed(&heap->npages_known)) {
        ga_free_any(heap, p);
        return;
    }
    /* If another core has the line, it is to come once, and not once to be read and then again. */
    bool batched = ga_batch_reaches(&cache->batch, p);
    struct ga_span_line *line = &heap->view.lines[page];
    if (!batched)
        ga_prefetch_for_write(line);
    uint64_t entry = ga_view_entry(&heap->view, page);
    if (batched && ga_batch_free(cache, &cache->batch, entry, p)) {
        ga_busy_end();
        return;
    }
    struct ga_free_list *list = cache->by_class[entry & 0xff];
    uint64_t holder = ga_load_relaxed(&line->holder);
    if (!ga_holder_is_leased_by(holder, list->holder)) {
        if (!ga_entry_is_small_span(entry) ||
            !ga_free_quickly_by_other(heap, cache, page, entry, p))
            ga_free_any(heap, p);
        else
            ga_busy_end();
        return;
    }
    ga_known_add(&cache->known, (ga_page_id)page, ga_entry_span_class(entry), list->magic);
    uint64_t product = (uintptr_t)p % GA_PAGE_SIZE * list->magic;
    if ((uint32_t)product < list->magic)
        ga_fast_free_own(heap, cache, list, line, product, p);
    else
        ga_free_any(heap, p);
}

/* Free what is no small object in a page that is known, but in one of this list: a tiny object, or
 * one in a page that is not known; or p is within a slot. Ends the operation. */
static inline __attribute__((always_inline)) void free_other(struct goalloc_heap *heap,
                                                             struct ga_thread_cache *cache,
                                                             const struct ga_free_list *list,
                                                             void *p)
{
    if (list == ga_class_cache_tiny_list(cache)) {
        if (!ga_tiny_free(cache, p))
            ga_free_any(heap, p);
    } else if (list == cache->by_class[0]) {
        free_unknown(heap, p);
    } else {
        ga_free_any(heap, p);
    }
}

void ga_free_other(struct goalloc_heap *heap, struct ga_thread_cache *cache,
                   const struct ga_free_list *list, void *p)
{
    free_other(heap, cache, list, p);
}

void goalloc_free(struct goalloc_heap *heap, void *p)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    if (__builtin_expect(!cache, 0)) {
        ga_free_any(heap, p);
        return;
    }
    const struct ga_free_list *list = ga_fast_free(heap, cache, p);
    if (__builtin_expect(list != NULL, 0))
        free_other(heap, cache, list, p);
}
