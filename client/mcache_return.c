/* Giving back empty spans.
 *
 * How many a class should keep is told by how many it did not need: nempty_low is the lowest number
 * of empty spans since the last look. A program that allocates and frees the same amount again and
 * again brings it to 0 each time, and keeps everything; what a class has truly grown out of stays
 * above the low mark, and goes. A class is looked at each time more spans have become empty than it
 * has, and about LOOK_BYTES of them, so that the looking is cheap.
 *
 * A class that is not used any more is not looked at so. Therefore all are looked at when this
 * thread needs spans and the heap has grown by a part of itself since it did so last: what one
 * class does not need is then used before the heap grows more. A heap that does not grow asks
 * nobody to give back what he may soon ask for again. In a heap of the process's own
 * (client/malloc) spans come without a wait: there all that is empty goes then, and a smaller
 * growth will do. */
#include <sys/sdt.h>

#include "client/class_cache.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/spans.h"
#include "client/tiny.h"

#define LOOK_BYTES  (UINT64_C(1) << 20)
#define GROWTH_PART 16u                   /* of the heap, and LOOK_BYTES at least */
#define GROWTH_OWN  (UINT64_C(256) << 10) /* instead of those, in a heap of the process's own */
#define RETURN_MAX  256u                  /* pages in one note */
#define CALL_MS     1000u

void ga_mcache_note_returned(struct ga_thread_cache *cache, uint32_t *pages, uint32_t count)
{
    if (count == 0)
        return;
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    body.mcache = cache->id;
    body.pages = pages;
    body.n_pages = count;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS;
    note.return_spans = &body;
    DTRACE_PROBE2(goalloc, return, cache->id, count);
    /* If the note is lost the connection is too, and the next server looks for what was returned.
     */
    (void)ga_channel_note(cache->heap->channel, &note);
}

/* The class's list of free slots is about to be dropped: put the spans on the other list of which
 * nothing else says that they have some. */
static void list_spans_of_slots(struct ga_thread_cache *cache, ga_span_class span_class)
{
    const struct ga_free_list *list = ga_class_cache_peek(cache, span_class)->list;
    for (const struct ga_free_slot *slot = list->top; slot != list->slot; slot--)
        if (!ga_spans_is_listed(slot->line))
            ga_mcache_list_span(cache, span_class,
                                (ga_page_id)(slot->line - cache->heap->view.lines));
}

/* Give back up to most empty spans of the class's list. Returns how many went. */
static uint32_t return_empty(struct ga_thread_cache *cache, ga_span_class span_class, uint32_t most)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    uint32_t pages[RETURN_MAX];
    uint32_t count = 0;
    uint32_t returned = 0;
    list_spans_of_slots(cache, span_class); /* before any is taken off, and looks as not listed */
    for (ga_page_id page; returned < most && (page = ga_spans_pop(cache, class)) != 0;) {
        if (!ga_mcache_is_mine(cache, page)) {
            /* The word was overwritten, or the lease taken. */
            ga_known_remove(&cache->known, page);
            ga_spans_remove(cache, class, page);
            continue;
        }
        if (!ga_mcache_is_empty(cache, span_class, page)) {
            ga_spans_set_aside(cache, class, page);
            continue;
        }
        if (returned == 0)
            ga_free_list_forget(class->list); /* it may have slots of these spans */
        ga_spans_remove(cache, class, page);
        ga_known_remove(&cache->known, page);
        ga_slot_end_lease(&cache->heap->view, cache->id, page);
        pages[count++] = page;
        returned++;
        if (count == RETURN_MAX) {
            ga_mcache_note_returned(cache, pages, count);
            count = 0;
        }
    }
    ga_mcache_note_returned(cache, pages, count);
    ga_spans_rejoin(cache, class);
    if (returned)
        class->batch = (class->batch + 1) / 2;
    return returned;
}

/* Drop the list of free slots, or leave the adopted block, and put the current span among the
 * others.
 */
static void let_go(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    list_spans_of_slots(cache, span_class);
    ga_free_list_drop(class->list);
    ga_page_id page = class->page;
    if (page == 0)
        return;
    if (span_class == GA_SPAN_CLASS_TINY)
        ga_tiny_let_go(cache);
    ga_spans_set_current(cache, class, 0);
    ga_spans_push(cache, class, page);
}

uint32_t ga_mcache_trim(struct ga_thread_cache *cache)
{
    ga_batch_flush_own(cache);
    ga_mcache_take_ring(cache);
    uint32_t returned = ga_large_trim(cache);
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c++) {
        const struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (!class || class->spans.count == 0)
            continue;
        let_go(cache, (ga_span_class)c);
        ga_mcache_take_news(cache, (ga_span_class)c);
        returned += return_empty(cache, (ga_span_class)c, UINT32_MAX);
    }
    return returned;
}

/* Give back what the class did not need since it was last looked at. */
static void look(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    if (class->nempty_low > 0)
        return_empty(cache, span_class, class->nempty_low);
    class->nemptied = 0;
    class->nempty_low = class->nempty;
}

void ga_mcache_give_back_unneeded(struct ga_thread_cache *cache)
{
    cache->unneeded_seen = ga_load_relaxed(&cache->heap->unneeded_count);
    ga_batch_flush_own(cache);
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c++) {
        const struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (!class || class->spans.count == 0)
            continue;
        ga_mcache_take_news(cache, (ga_span_class)c);
        look(cache, (ga_span_class)c);
    }
}

/* A heap of the process's own has nobody who looks at the clock but those who come by. */
static void call_on_core(struct ga_thread_cache *cache)
{
    uint64_t now_ms = ga_mcache_now_ms();
    if (now_ms - cache->called_ms < CALL_MS)
        return;
    cache->called_ms = now_ms;
    Goalloc__V1__Envelope nothing = GOALLOC__V1__ENVELOPE__INIT;
    (void)ga_channel_note(cache->heap->channel, &nothing);
}

void ga_mcache_obey_reclaim(struct ga_thread_cache *cache)
{
    if (cache->heap->is_own)
        call_on_core(cache);
    uint32_t wanted = ga_load_relaxed(&cache->heap->reclaim_count);
    if (wanted != cache->reclaim_seen)
        ga_reclaim_cache(cache, GA_RECLAIM_UNUSED);
    else if (ga_load_relaxed(&cache->heap->unneeded_count) != cache->unneeded_seen)
        ga_reclaim_cache(cache, GA_RECLAIM_UNNEEDED);
}

/* All empty spans but those that are leased ahead: what is missed of others comes at once. */
static uint32_t beyond_least(const struct ga_thread_cache *cache, ga_span_class span_class)
{
    uint32_t nempty = ga_class_cache_peek(cache, span_class)->nempty;
    uint32_t ahead = ga_mcache_least(cache, span_class) - 1;
    return nempty > ahead ? nempty - ahead : 0;
}

void ga_mcache_meet_growth(struct ga_thread_cache *cache)
{
    uint64_t npages = ga_load_relaxed(&cache->heap->view.meta->committed_npages);
    if (npages < cache->look_at_npages)
        return;
    uint64_t part = npages / GROWTH_PART;
    uint64_t least = (cache->heap->is_own ? GROWTH_OWN : LOOK_BYTES) / GA_PAGE_SIZE;
    cache->look_at_npages = npages + (part > least ? part : least);
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (!class)
            continue;
        if (cache->heap->is_own)
            class->nempty_low = beyond_least(cache, (ga_span_class)c);
        look(cache, (ga_span_class)c);
    }
}

/* A span of the list has become empty. */
static void count_empty(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    if (!ga_spans_count_empty(cache, class, page))
        return; /* the list of free slots had one of it */
    class->nemptied++;
    /* Some span has become empty twice: so the class was allocated from meanwhile. */
    if (class->nemptied * ga_mcache_span_bytes(span_class) < LOOK_BYTES ||
        class->nemptied <= class->spans.count)
        return;
    look(cache, span_class);
    ga_mcache_obey_reclaim(cache);
}

void ga_mcache_freed(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page,
                     bool may_be_empty)
{
    struct ga_class_cache *class = ga_class_cache_get(cache, span_class);
    if (page == class->page)
        return; /* looked at before any other when the list is used up */
    if (!ga_spans_is_listed(&cache->heap->view.lines[page]))
        ga_spans_push(cache, class, page);
    if (may_be_empty && ga_mcache_is_empty(cache, span_class, page))
        count_empty(cache, span_class, page);
}
