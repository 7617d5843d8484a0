#include "shm/slot.h"

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
    _Atomic uint64_t *holder_word = &view->lines[slot->page].holder;
    _Atomic uint64_t *a_word = a_of(view, slot);

    /* The reads are a snapshot if A and holder, in this order, are found unchanged. The entry was
     * read by the caller. */
    for (;;) {
        uint64_t holder = ga_load_acquire(holder_word);
        uint64_t a = ga_load_acquire(a_word);
        uint64_t f = ga_load_acquire(f_of(view, slot));
        if ((ga_load_acquire(a_word) ^ a) & bit)
            continue;
        /* A new span at this page has raised holder's sequence, so what is found here still held
         * when holder is read for the last time. */
        if (!ga_entry_is_same_span(slot->entry, ga_view_entry(view, slot->page)))
            return false;
        if (ga_load_acquire(holder_word) != holder)
            continue;
        *ret_a = a & bit;
        return ((a ^ f) & bit) != 0;
    }
}

/* Make F's bit A's. False if it was already. */
static bool free_in_f(const struct ga_view *view, const struct ga_slot *slot, uint64_t a)
{
    _Atomic uint64_t *f = f_of(view, slot);
    uint64_t bit = UINT64_C(1) << (slot->index % 64);
    /* Two frees that race cannot cancel each other, and the old bit tells the second. seq_cst:
     * pairs with who takes the span over, and with who clears an inbox or pending bit, before
     * reading F. */
    return a ? (ga_fetch_or_seq_cst(f, bit) & bit) == 0
             : (ga_fetch_and_seq_cst(f, ~bit) & bit) != 0;
}

bool ga_slot_free_by_other(const struct ga_view *view, ga_mcache_id me, const struct ga_slot *slot)
{
    uint64_t a;
    if (!ga_slot_in_use(view, slot, &a))
        return false;

    if (me)
        ga_store_release(&view->mcaches[me].telling, slot->page);
    bool freed = free_in_f(view, slot, a);
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

static void set_if_clear(_Atomic uint64_t *word, uint64_t bit)
{
    /* Looking first spares the line of a receiver that has not read its news yet. */
    if ((ga_load_seq_cst(word) & bit) == 0)
        ga_fetch_or_seq_cst(word, bit);
}

void ga_slot_tell(const struct ga_view *view, ga_page_id page)
{
    uint64_t entry = ga_load_seq_cst(&view->page_table[page]);
    ga_mcache_id owner = ga_entry_owner(entry);
    uint64_t bit = UINT64_C(1) << (page % 64);
    if (ga_entry_is_span(entry) && owner != 0) {
        struct ga_mcache_inbox *inbox = &view->mcaches[owner].inbox[ga_entry_span_class(entry)];
        set_if_clear(&inbox->word[page / 64 % GA_INBOX_WORDS], bit);
    } else {
        set_if_clear(&view->pending[page / 64], bit);
    }
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
