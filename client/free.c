/* Free. Every free is checked before it changes anything: the pointer's slot by lookup.c, and that
 * it is in use here. Who holds the span's lease frees with plain stores; everybody else by the
 * protocol of shm/slot.h. The library's own loop thread takes part in none of it. */
#include <errno.h>

#include "client/heap.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/tiny.h"

/* Free a slot of a span that this mcache holds. False if the slot is not in use. */
static inline bool free_by_holder(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    if (slot->entry & GA_ENTRY_TINY)
        return ga_tiny_free_by_holder(cache, slot);
    const struct ga_view *view = &cache->heap->view;
    ga_span_class span_class = ga_entry_span_class(slot->entry);
    uint32_t word = slot->index / 64;
    uint64_t bit = UINT64_C(1) << (slot->index % 64);
    _Atomic uint64_t *a_word = ga_view_a(view, slot->page, word);
    uint64_t a = ga_load_relaxed(a_word);
    if (((a ^ ga_load_acquire(ga_view_f(view, slot->page, word))) & bit) == 0)
        return false;

    struct ga_mcache_class *shared = &cache->shared->classes[span_class];
    const struct ga_class_cache *class = &cache->classes[span_class];
    if (class->page == slot->page && class->word == word) {
        uint64_t slots = ga_load_relaxed(&shared->cache);
        if (slots & bit)
            return false;
        ga_store_release(&shared->cache, slots | bit);
    } else {
        ga_store_release(a_word, a ^ bit);
        if (__builtin_expect((slot->entry & GA_ENTRY_LARGE) != 0, 0)) {
            ga_large_count_free(cache, ga_entry_npages(slot->entry));
            ga_large_freed(cache, span_class, slot->page);
        } else {
            ga_mcache_freed(cache, span_class, slot->page, word);
        }
    }
    return true;
}

/* The span of a large object that nobody leases goes back to the server, which looks at its pending
 * bits when told to. */
static void note_large_free(struct ga_thread_cache *cache, ga_page_id page)
{
    uint32_t pages[1] = {page};
    Goalloc__V1__LargeFree body = GOALLOC__V1__LARGE_FREE__INIT;
    body.pages = pages;
    body.n_pages = 1;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE;
    note.large_free = &body;
    (void)ga_channel_note(cache->heap->channel, &note); /* the pending bit says it too */
}

static void count_free(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_mcache_class *counts = &cache->shared->classes[span_class];
    ga_store_relaxed(&counts->nfree, ga_load_relaxed(&counts->nfree) + 1);
}

/* Count a free in a span that this mcache does not hold. */
static void count_free_by_other(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    count_free(cache, ga_entry_span_class(slot->entry));
    if (slot->entry & GA_ENTRY_LARGE)
        ga_large_count_free(cache, ga_entry_npages(slot->entry));
}

/* A free in a span where something is held. True if that was all. */
static __attribute__((noinline)) bool free_held(struct goalloc_heap *heap, void *p,
                                                const struct ga_slot *slot)
{
    int saved_errno = errno;
    int r = ga_holds_put_off(heap, p, slot);
    if (r == 0) {
        struct ga_thread_cache *cache = ga_thread_cache_get(heap);
        if (cache) {
            count_free_by_other(cache, slot);
            ga_thread_cache_put(cache);
        }
    } else if (r == -EINVAL) {
        ga_report_bad(heap, "goalloc_free", p, GA_LOOKUP_SLOT, slot);
    } else if (r != -ENOENT) {
        ga_report(heap, GOALLOC_REPORT_LOST,
                  "an object was not freed: it is held, and the server cannot be told");
    }
    errno = saved_errno;
    return r != -ENOENT;
}

static __attribute__((noinline)) void free_slowly(struct goalloc_heap *heap, void *p,
                                                  const struct ga_slot *slot)
{
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    /* Without a server a new thread gets no mcache. It frees all the same, uncounted. */
    if (!ga_slot_free_by_other(&heap->view, cache ? cache->id : 0, slot)) {
        ga_report_bad(heap, "goalloc_free", p, GA_LOOKUP_SLOT, slot);
    } else if (cache) {
        /* Counted before the server can hear of it and be asked for its counts. */
        count_free_by_other(cache, slot);
        if ((slot->entry & GA_ENTRY_LARGE) && ga_entry_owner(slot->entry) == 0)
            note_large_free(cache, slot->page);
    }
    if (cache)
        ga_thread_cache_put(cache);
    errno = saved_errno;
}

void goalloc_free(struct goalloc_heap *heap, void *p)
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
        free_held(heap, p, &slot))
        return;
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t holder = ga_load_relaxed(&heap->view.lines[slot.page].holder);
    if (!cache || !ga_holder_is_leased_by(holder, cache->id)) {
        free_slowly(heap, p, &slot);
        return;
    }
    if (free_by_holder(cache, &slot))
        count_free(cache, ga_entry_span_class(slot.entry));
    else
        ga_report_bad(heap, "goalloc_free", p, GA_LOOKUP_SLOT, &slot);
}
