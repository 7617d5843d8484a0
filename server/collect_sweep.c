/* The garbage of a cycle: it is counted, and freed as any process frees others' objects. */
#include "server/collect_internal.h"

#include <errno.h>

#include "shm/sample.h"

/* Of slots of a word, those that nobody holds: who has found a way to an object since the marking
 * may hold it, and then it stays. */
static uint64_t not_held(struct ga_heap *heap, const struct ga_collect_span *span, uint32_t word,
                         uint64_t slots)
{
    if (ga_line_holds(ga_load_relaxed(&heap->view.lines[span->page].nholds)) == 0)
        return slots;
    uint64_t start = (uint64_t)span->page << GA_PAGE_SHIFT;
    for (uint64_t left = slots; left; left &= left - 1) {
        uint64_t index = word * 64 + (uint64_t)__builtin_ctzll(left);
        uint64_t offset =
            span->span_class < 2 ? start : start + index * ga_collect_object_bytes(span);
        if (ga_holds_any(heap, offset))
            slots &= ~(left & -left);
    }
    return slots;
}

/* Free slots of a word, as others do who free. Returns how many this freed, and nobody else. */
static uint64_t free_word(struct ga_heap *heap, const struct ga_collect_span *span, uint32_t word,
                          uint64_t slots)
{
    const struct ga_view *view = &heap->view;
    if (span->span_class == GA_SPAN_CLASS_TINY) {
        struct ga_tiny_pair *pair = &view->tiny[span->page].pair[word];
        return (uint32_t)__builtin_popcountll(
            ga_slot_free_bits(&pair->a, &pair->f, slots & ga_tiny_used(pair)));
    }
    uint32_t nslots = ga_mheap_nslots(span->span_class);
    slots &= ~ga_free_bits(view, span->page, word, nslots);
    slots = not_held(heap, span, word, slots);
    ga_profiles_freed_slots(heap, span->page, word, slots);
    return (uint32_t)__builtin_popcountll(ga_slot_free_word(view, span->page, word, slots));
}

static void count_freed(struct ga_heap *heap, const struct ga_collect_span *span, uint64_t n)
{
    ga_collect_add(&heap->collect->result.freed, span, n);
    ga_clients_count_frees(heap, span->span_class, n, n * ga_collect_object_bytes(span));
}

/* Free the span's garbage, and see to it that somebody has the use of it. */
static void free_garbage(struct ga_heap *heap, const struct ga_collect_span *span)
{
    uint64_t n = 0;
    for (uint32_t word = 0; word < ga_collect_words_of(span); word++) {
        uint64_t slots = ga_mark_unreached(heap->collect->mark, span->page, word);
        if (slots)
            n += free_word(heap, span, word, slots);
    }
    count_freed(heap, span, n);
    if (heap->mspans[span->page].owner != 0)
        ga_slot_tell(&heap->view, span->page);
    else
        ga_lease_look_again(heap, span->page);
}

static uint64_t count_garbage(struct ga_collect *collect, const struct ga_collect_span *span)
{
    uint64_t n = ga_collect_count_unreached(collect, span);
    ga_collect_add(&collect->result.garbage, span, n);
    ga_collect_add(&collect->result.by_class[span->span_class / 2], span, n);
    ga_collect_add(&collect->by_owner[span->client_plus_1], span, n);
    return n;
}

/* Have the sites of a profile know of their garbage. Tiny objects that are sampled lie in other
 * spans. */
static void tell_sites(struct ga_heap *heap, const struct ga_collect_span *span)
{
    if (span->span_class == GA_SPAN_CLASS_TINY || !ga_profiles_has_samples(heap, span->page))
        return;
    for (uint32_t word = 0; word < ga_collect_words_of(span); word++)
        ga_profiles_unreached_slots(heap, span->page, word,
                                    ga_mark_unreached(heap->collect->mark, span->page, word),
                                    heap->collect->result.collection);
}

bool ga_collect_sweep_some(struct ga_heap *heap, uint32_t nspans)
{
    struct ga_collect *collect = heap->collect;
    assert(collect->is_settled);
    for (; nspans > 0 && collect->swept < collect->nspans; nspans--) {
        const struct ga_collect_span *span = &collect->spans[collect->swept++];
        struct ga_mspan *now = &heap->mspans[span->page];
        uint64_t n = count_garbage(collect, span);
        bool is_same = now->collected;
        now->collected = false;
        if (n > 0 && is_same)
            tell_sites(heap, span);
        if (n > 0 && is_same && collect->mode != GA_COLLECT_REPORT)
            free_garbage(heap, span);
    }
    return collect->swept == collect->nspans;
}

/* ---- what came of it ---- */

const struct ga_collect_result *ga_collect_get_result(const struct ga_heap *heap)
{
    static const struct ga_collect_result none = {0};
    return heap->collect ? &heap->collect->result : &none;
}

int ga_collect_next_owner(const struct ga_heap *heap, uint32_t index, struct ga_collect_owner *ret)
{
    for (; heap->collect && index <= GA_CLIENT_COUNT; index++) {
        if (heap->collect->by_owner[index].objects == 0)
            continue;
        *ret = (struct ga_collect_owner){index, heap->collect->by_owner[index]};
        return 0;
    }
    return -ENOENT;
}
