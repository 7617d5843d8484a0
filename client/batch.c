#include "client/batch.h"

#include "client/heap.h"

/* Somebody else had freed these slots before. They were counted when they were put into the batch.
 */
static void refuse(struct ga_thread_cache *cache, uint64_t slots)
{
    const struct ga_batch *batch = &cache->batch;
    struct ga_slot slot = {.page = batch->slots.page, .entry = batch->slots.entry};
    uint64_t n = (uint64_t)__builtin_popcountll(slots);
    ga_store_relaxed(batch->nfree, ga_load_relaxed(batch->nfree) - n);
    for (; slots != 0; slots &= slots - 1) {
        uint32_t index = (uint32_t)__builtin_ctzll(slots);
        const char *base = (const char *)batch->base; /* NOLINT: where the heap is mapped */
        slot.index = batch->slots.word * 64 + index;
        ga_report_bad(cache->heap, "goalloc_free", base + (size_t)index * batch->size,
                      GA_LOOKUP_SLOT, &slot);
    }
}

void ga_batch_flush_own(struct ga_thread_cache *cache)
{
    struct ga_batch *batch = &cache->batch;
    uint64_t refused;
    if (batch->slots.mask == 0 ||
        !ga_batch_flush(&cache->heap->view, cache->id, &batch->slots, &refused))
        return;
    batch->bytes = 0;
    if (refused != 0)
        refuse(cache, refused);
}

static void begin(struct ga_thread_cache *cache, const struct ga_slot *slot)
{
    const struct ga_view *view = &cache->heap->view;
    ga_span_class span_class = ga_entry_span_class(slot->entry);
    const struct ga_size_class *class = &ga_size_classes[span_class / 2];
    uint32_t word = slot->index / 64;
    uint64_t valid = ga_valid_mask(class->nslots, word);
    cache->batch = (struct ga_batch){
        .base = cache->heap->base + slot->page * GA_PAGE_SIZE + (size_t)word * 64 * class->size,
        .bytes = (uint32_t)__builtin_popcountll(valid) * class->size,
        .size = class->size,
        .magic = class->magic,
        .last = cache->batch.last,
        .rest = valid & ~cache->batch.last_bit,
        .a_word = ga_view_a(view, slot->page, word),
        .line = &view->lines[slot->page],
        .shared = cache->shared,
        .nfree = &cache->shared->classes[span_class].nfree,
        .slots = {.page = slot->page, .word = word, .entry = slot->entry},
    };
    ga_batch_begin(cache->shared, slot->page, word);
}

bool ga_batch_open(struct ga_thread_cache *cache, const struct ga_slot *slot, uint64_t a)
{
    struct ga_batch *batch = &cache->batch;
    ga_batch_flush_own(cache);
    if (batch->slots.mask != 0 || !ga_batch_may_begin(&cache->heap->view, slot->page, slot->entry))
        return false;
    begin(cache, slot);
    ga_batch_add(cache, batch, UINT64_C(1) << slot->index % 64, a);
    return true;
}
