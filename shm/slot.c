#include "shm/slot.h"

#include "shm/slot_word.h"
#include "shm/tiny.h"

void ga_slot_begin_lease(const struct ga_view *view, ga_mcache_id me, ga_page_id page)
{
    _Atomic uint64_t *holder = &view->lines[page].holder;
    ga_xchg_seq_cst(holder, ga_holder_next(ga_load_relaxed(holder), me, 0));
}

void ga_slot_end_lease(const struct ga_view *view, ga_mcache_id me, ga_page_id page)
{
    _Atomic uint64_t *holder = &view->lines[page].holder;
    ga_store_release(holder, ga_holder_next(ga_load_relaxed(holder), me, GA_HOLDER_RETURNED));
}

void ga_slot_take_large(const struct ga_view *view, ga_page_id page)
{
    ga_store_release(ga_view_a(view, page, 0), 1);
}

bool ga_slot_large_is_freed(const struct ga_view *view, ga_page_id page)
{
    return (ga_load_acquire(ga_view_a(view, page, 0)) & 1) &&
           (ga_load_seq_cst(ga_view_f(view, page, 0)) & 1);
}

void ga_slot_take_leased_large(const struct ga_view *view, ga_page_id page)
{
    _Atomic uint64_t *a = ga_view_a(view, page, 0);
    ga_store_release(a, ga_load_relaxed(a) ^ 1);
}

bool ga_slot_large_is_untaken(const struct ga_view *view, ga_page_id page)
{
    return (ga_load_acquire(ga_view_a(view, page, 0)) & 1) == 0 &&
           (ga_load_seq_cst(ga_view_f(view, page, 0)) & 1) == 0;
}

static _Atomic uint64_t *a_of(const struct ga_view *view, const struct ga_slot *slot)
{
    return slot->entry & GA_ENTRY_TINY ? &view->tiny[slot->page].pair[slot->index / 64].a
                                       : ga_view_a(view, slot->page, slot->index / 64);
}

static _Atomic uint64_t *f_of(const struct ga_view *view, const struct ga_slot *slot)
{
    return slot->entry & GA_ENTRY_TINY ? &view->tiny[slot->page].pair[slot->index / 64].f
                                       : ga_view_f(view, slot->page, slot->index / 64);
}

bool ga_slot_in_use(const struct ga_view *view, const struct ga_slot *slot, uint64_t *ret_a)
{
    uint64_t bit = UINT64_C(1) << (slot->index % 64);
    uint64_t a = 0;
    uint64_t used = ga_slot_word_used(view, slot->page, slot->entry, a_of(view, slot),
                                      f_of(view, slot), bit, &a);
    *ret_a = a & bit;
    return (used & bit) != 0;
}

bool ga_slot_free_by_other(const struct ga_view *view, ga_mcache_id me, const struct ga_slot *slot)
{
    uint64_t a;
    if (!ga_slot_in_use(view, slot, &a))
        return false;

    if (me)
        ga_store_release(&view->mcaches[me].telling, slot->page);
    bool freed = ga_slot_word_free(f_of(view, slot), UINT64_C(1) << (slot->index % 64), a);
    if (freed)
        ga_slot_tell(view, slot->page);
    if (me)
        ga_store_release(&view->mcaches[me].telling, 0);
    return freed;
}

uint64_t ga_slot_free_bits(const _Atomic uint64_t *a_word, _Atomic uint64_t *f, uint64_t slots)
{
    /* Acquire: the holder's last stores. They were its last, so this is good for both steps. */
    uint64_t a = ga_load_acquire(a_word);
    /* Each bit goes where a free by others would bring it, and none the other way. */
    uint64_t freed = ~ga_fetch_or_seq_cst(f, a & slots) & a & slots;
    return freed | (ga_fetch_and_seq_cst(f, a | ~slots) & ~a & slots);
}

uint64_t ga_slot_free_word(const struct ga_view *view, ga_page_id page, uint32_t word,
                           uint64_t slots)
{
    return ga_slot_free_bits(ga_view_a(view, page, word), ga_view_f(view, page, word), slots);
}

void ga_slot_tell(const struct ga_view *view, ga_page_id page)
{
    ga_slot_word_tell(view, page);
}

uint32_t ga_slot_count_used(const struct ga_view *view, ga_page_id page, uint32_t nslots)
{
    if (ga_view_entry(view, page) & GA_ENTRY_TINY)
        return ga_tiny_count_blocks(view, page);
    uint32_t used = 0;
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t free_bits = ga_free_bits(view, page, word, nslots);
        used += (uint32_t)__builtin_popcountll(ga_valid_mask(nslots, word) & ~free_bits);
    }
    return used;
}
