/* Free. Every free is checked before it changes anything: the pointer's slot by lookup.c, and that
 * it is in use here. Who holds the span's lease frees with plain stores; everybody else by the
 * protocol of shm/slot.h. The library's own loop thread takes part in none of it. */
#include "client/free_by_other.h"
#include "client/heap.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/spans.h"
#include "client/tiny.h"

static inline void count(_Atomic uint64_t *counter)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + 1);
}

/* A free has left its word without objects, or its span is not on the list: see to that. */
static __attribute__((noinline)) void look_at_span(struct ga_thread_cache *cache,
                                                   const struct ga_span_line *line,
                                                   _Atomic uint64_t *a_word)
{
    const struct ga_view *view = &cache->heap->view;
    ga_page_id page = (ga_page_id)(line - view->lines);
    ga_mcache_freed(cache, ga_entry_span_class(ga_view_entry(view, page)), page,
                    ga_slot_used(a_word) == 0);
}

/* Free the slot at p of a small span that this mcache holds, if it is in use. line: the span's;
 * bit: the slot's, in a_word. */
static inline __attribute__((always_inline)) bool
free_small(struct ga_thread_cache *cache, struct ga_free_list *list,
           const struct ga_span_line *line, _Atomic uint64_t *a_word, uint64_t bit, char *p)
{
    uint64_t a = ga_load_relaxed(a_word);
    uint64_t used = a ^ ga_load_acquire(ga_view_f_of(a_word));
    if (__builtin_expect((used & bit) == 0, 0))
        return false;
    ga_store_release(a_word, a ^ bit); /* the commit */
    count(&list->counts->nfree);
    /* The last object of a word is not remembered, but in the current one. */
    if (__builtin_expect(used == bit && a_word != list->current, 0)) {
        look_at_span(cache, line, a_word);
        return true;
    }
    ga_free_list_put(list, p, a_word, bit);
    if (__builtin_expect(!ga_spans_is_listed(line), 0))
        look_at_span(cache, line, a_word);
    return true;
}

/* Free a large object whose span this mcache holds, if it is in use. */
static bool free_large(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    _Atomic uint64_t *a_word = ga_view_a(&cache->heap->view, slot->page, 0);
    if ((ga_slot_used(a_word) & 1) == 0)
        return false;
    ga_slot_flip(a_word, 1);
    count(&cache->shared->classes[ga_entry_span_class(slot->entry)].nfree);
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
    return free_small(cache, &cache->classes[ga_entry_span_class(slot->entry)].list,
                      &view->lines[slot->page], ga_view_a(view, slot->page, slot->index / 64),
                      UINT64_C(1) << slot->index % 64, p);
}

/* Free anything. */
static __attribute__((noinline)) void free_any(struct goalloc_heap *heap, void *p)
{
    if (!p)
        return;
    struct ga_slot slot;
    enum ga_lookup found = ga_lookup_slot(heap, p, &slot);
    if (__builtin_expect(found != GA_LOOKUP_SLOT, 0)) {
        ga_report_bad(heap, "goalloc_free", p, found, &slot);
        return;
    }
    /* seq_cst: pairs with the server's count of a hold; on the line that is read next. */
    if (__builtin_expect(ga_load_seq_cst(&heap->view.lines[slot.page].nholds) != 0, 0) &&
        ga_free_held(heap, p, &slot))
        return;
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t holder = ga_load_relaxed(&heap->view.lines[slot.page].holder);
    if (!cache || !ga_holder_is_leased_by(holder, cache->id))
        ga_free_by_other(heap, p, &slot);
    else if (!free_by_holder(cache, &slot, p))
        ga_report_bad(heap, "goalloc_free", p, GA_LOOKUP_SLOT, &slot);
}

/* What most frees are of: a small object in the first page of a span that this mcache holds, and
 * where nothing is held. The holder word alone says that a span begins at page, which is committed.
 * False, and nothing has happened, if it is none, or not in use; or if its bit lies in the wide
 * plane, and wide says that it does not, or the other way. */
static inline __attribute__((always_inline)) bool free_quickly(struct goalloc_heap *heap,
                                                               struct ga_thread_cache *cache,
                                                               uint64_t page, uint64_t entry,
                                                               char *p, bool wide)
{
    struct ga_free_list *list = &cache->by_class[entry & 0xff]->list;
    struct ga_span_line *line = &heap->view.lines[page];
    uint32_t offset = (uint32_t)((uintptr_t)p % GA_PAGE_SIZE);
    uint32_t index = (uint32_t)((uint64_t)offset * list->magic >> 32);
    if (__builtin_expect(
            (index >= 64 * GA_LINE_WORDS) != wide || index * list->size != offset ||
                !ga_holder_is_leased_by(ga_load_relaxed(&line->holder), list->holder) ||
                ga_load_seq_cst(&line->nholds) != 0, /* as above */
            0))
        return false;
    return free_small(cache, list, line,
                      wide ? ga_view_a(&heap->view, (ga_page_id)page, index / 64)
                           : &line->a[index / 64],
                      UINT64_C(1) << index % 64, p);
}

/* The next that is tried: one in the wide plane, or of a span that somebody else holds. */
static __attribute__((noinline)) void free_less_quickly(struct goalloc_heap *heap, void *p)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t page = ((uintptr_t)p - heap->base) >> GA_PAGE_SHIFT;
    uint64_t entry = ga_view_entry(&heap->view, page);
    const struct ga_span_line *line = &heap->view.lines[page];
    bool freed = ga_holder_is_leased_by(ga_load_relaxed(&line->holder), cache->id)
                     ? free_quickly(heap, cache, page, entry, p, true)
                     : ga_free_quickly_by_other(heap, cache, page, entry, p);
    if (!freed)
        free_any(heap, p);
}

/* Free the object that the list gave out last. line: of its page, which is its span's first, as
 * above. False, and nothing has happened, if that is not so, or it is not in use, or something is
 * held. */
static inline __attribute__((always_inline)) bool
free_last(struct ga_thread_cache *cache, struct ga_free_list *list, const struct ga_span_line *line)
{
    struct ga_free_slot *slot = list->top + 1;
    uint64_t a = ga_load_relaxed(slot->a);
    uint64_t used = a ^ ga_load_acquire(ga_view_f_of(slot->a));
    if (__builtin_expect(!ga_holder_is_leased_by(ga_load_relaxed(&line->holder), list->holder) ||
                             ga_load_seq_cst(&line->nholds) != 0 || (used & slot->bit) == 0,
                         0))
        return false;
    ga_store_release(slot->a, a ^ slot->bit); /* the commit */
    count(&list->counts->nfree);
    bool kept = used != slot->bit || slot->a == list->current;
    if (__builtin_expect(kept, 1))
        list->top = slot;
    if (__builtin_expect(!kept || !ga_spans_is_listed(line), 0))
        look_at_span(cache, line, slot->a);
    return true;
}

void goalloc_free(struct goalloc_heap *heap, void *p)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t page = ((uintptr_t)p - heap->base) >> GA_PAGE_SHIFT;
    if (cache && cache->last->top[1].p == p &&
        free_last(cache, cache->last, &heap->view.lines[page]))
        return;
    if (__builtin_expect(!cache || page >= ga_load_relaxed(&heap->npages_known), 0)) {
        free_any(heap, p);
        return;
    }
    uint64_t entry = ga_view_entry(&heap->view, page);
    if (entry & GA_ENTRY_TINY) {
        if (__builtin_expect(!ga_tiny_free(cache, p), 0))
            free_any(heap, p);
    } else if (__builtin_expect(!free_quickly(heap, cache, page, entry, p, false), 0)) {
        free_less_quickly(heap, p);
    }
}
