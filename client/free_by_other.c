/* Frees by who does not hold the span. Most are of small objects of another thread or process, and
 * these are done by one function without a call. */
#include "client/free_by_other.h"

#include <errno.h>

#include "client/class_cache.h"
#include "client/large.h"
#include "shm/slot_word.h"

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

static inline void count_free(struct ga_thread_cache *cache, ga_span_class span_class)
{
    ga_count_one(&cache->shared->classes[span_class].nfree);
}

/* Count a free in a span that this mcache does not hold. */
static void count_free_by_other(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    count_free(cache, ga_entry_span_class(slot->entry));
    if (slot->entry & GA_ENTRY_LARGE)
        ga_large_count_free(cache, ga_entry_npages(slot->entry));
}

bool ga_free_held(struct goalloc_heap *heap, void *p, const struct ga_slot *slot)
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

/* Report a free of what is not in use, be it that no slot begins there. */
static __attribute__((noinline)) void refuse(struct goalloc_heap *heap, const void *p)
{
    struct ga_slot slot;
    enum ga_lookup found = ga_lookup_slot(heap, p, &slot);
    ga_report_bad(heap, "goalloc_free", p, found, &slot);
}

/* Not so quickly; unless that is for want of the class, whose list has the numbers: it is made. */
static __attribute__((noinline)) bool make_class_and_free(struct goalloc_heap *heap,
                                                          struct ga_thread_cache *cache,
                                                          uint64_t page, uint64_t entry, void *p)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    if (cache->heap != heap || !ga_entry_is_small_span(entry) ||
        ga_class_cache_peek(cache, span_class))
        return false;
    (void)ga_class_cache_make(cache, span_class);
    return ga_free_quickly_by_other(heap, cache, page, entry, p);
}

/* What most frees by others are of: a small object in the first page of its span, where nothing is
 * held. */
bool ga_free_quickly_by_other(struct goalloc_heap *heap, struct ga_thread_cache *cache,
                              uint64_t page, uint64_t entry, void *p)
{
    const struct ga_view *view = &heap->view;
    const struct ga_free_list *list = cache->by_class[entry & 0xff];
    uint32_t offset = (uint32_t)((uintptr_t)p % GA_PAGE_SIZE);
    uint32_t index = (uint32_t)((uint64_t)offset * list->magic >> 32);
    /* Another heap's cache: this one was attached where that was detached. seq_cst: as in
     * goalloc_free. Past the last slot no bit is ever set. */
    if (__builtin_expect(cache->heap != heap || !ga_entry_is_small_span(entry) ||
                             index * list->size != offset ||
                             ga_load_seq_cst(&view->lines[page].nholds) != 0,
                         0))
        return make_class_and_free(heap, cache, page, entry, p);

    /* The steps of ga_slot_free_by_other. */
    uint64_t bit = UINT64_C(1) << index % 64;
    _Atomic uint64_t *a_word = ga_view_a(view, (ga_page_id)page, index / 64);
    _Atomic uint64_t *f_word = ga_view_f_of(a_word);
    _Atomic uint64_t *telling = &cache->shared->telling;
    uint64_t a;
    if (!(ga_slot_word_used(view, (ga_page_id)page, entry, a_word, f_word, bit, &a) & bit) ||
        ga_batch_has(&cache->batch, (ga_page_id)page, index)) {
        refuse(heap, p);
        return true;
    }
    if (__builtin_expect(ga_batch_meets_again(&cache->batch, a_word, bit), 0)) {
        struct ga_slot slot = {.page = (ga_page_id)page, .index = index, .entry = entry};
        if (ga_batch_open(cache, &slot, a))
            return true;
    }
    ga_store_release(telling, page);
    bool freed = ga_slot_word_free(f_word, bit, a);
    if (freed) {
        ga_slot_word_tell(view, (ga_page_id)page);
        count_free(cache, ga_entry_span_class(entry));
    }
    ga_store_release(telling, 0);
    if (__builtin_expect(!freed, 0))
        refuse(heap, p);
    return true;
}

void ga_free_by_other(struct goalloc_heap *heap, void *p, const struct ga_slot *slot)
{
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    /* Without a server a new thread gets no mcache. It frees all the same, uncounted. */
    if ((cache && ga_batch_has(&cache->batch, slot->page, slot->index)) ||
        !ga_slot_free_by_other(&heap->view, cache ? cache->id : 0, slot)) {
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
