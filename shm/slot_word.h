/* A word of 64 slots as those see it who do not hold its span: what a free by them does, inline,
 * since every free of another process's object goes this way. */
#ifndef GA_SHM_SLOT_WORD_H
#define GA_SHM_SLOT_WORD_H

#include "shm/slot.h"

/* The slots of a word that are in use, as one snapshot of all the words that say so; bits that
 * stand for no slot may be set. page, entry: of its span, read before; *ret_a: A's word then.
 * Returns 0 where the span is no longer the one that entry is about. Of the slots in care alone it
 * is a snapshot. Safe against everything the holder does meanwhile. */
static inline uint64_t ga_slot_word_used(const struct ga_view *view, ga_page_id page,
                                         uint64_t entry, const _Atomic uint64_t *a_word,
                                         const _Atomic uint64_t *f_word, uint64_t care,
                                         uint64_t *ret_a)
{
    _Atomic uint64_t *holder_word = &view->lines[page].holder;
    /* The reads are a snapshot if A and holder, in this order, are found unchanged. */
    for (;;) {
        uint64_t holder = ga_load_acquire(holder_word);
        uint64_t a = ga_load_acquire(a_word);
        uint64_t f = ga_load_acquire(f_word);
        if ((ga_load_acquire(a_word) ^ a) & care)
            continue;
        /* A new span at this page has raised holder's sequence, so what is found here still held
         * when holder is read for the last time. */
        if (!ga_entry_is_same_span(entry, ga_view_entry(view, page)))
            return 0;
        if (ga_load_acquire(holder_word) != holder)
            continue;
        *ret_a = a;
        return a ^ f;
    }
}

/* Make F's bit the one in a. False if it was already. */
static inline bool ga_slot_word_free(_Atomic uint64_t *f_word, uint64_t bit, uint64_t a)
{
    /* Two frees that race cannot cancel each other, and the old bit tells the second. seq_cst:
     * pairs with who takes the span over, and with who clears an inbox or pending bit, before
     * reading F. */
    return a & bit ? (ga_fetch_or_seq_cst(f_word, bit) & bit) == 0
                   : (ga_fetch_and_seq_cst(f_word, ~bit) & bit) != 0;
}

/* Set bit, if it is clear: looking first spares the line of a receiver that has not read its news
 * yet. */
static inline void ga_slot_set_if_clear(_Atomic uint64_t *word, uint64_t bit)
{
    if ((ga_load_seq_cst(word) & bit) == 0)
        ga_fetch_or_seq_cst(word, bit);
}

/* ga_slot_tell. */
static inline void ga_slot_word_tell(const struct ga_view *view, ga_page_id page)
{
    uint64_t entry = ga_load_seq_cst(&view->page_table[page]);
    ga_mcache_id owner = ga_entry_owner(entry);
    uint64_t bit = UINT64_C(1) << (page % 64);
    if (__builtin_expect(ga_entry_is_span(entry) && owner != 0, 1)) {
        struct ga_mcache_inbox *inbox = &view->mcaches[owner].inbox[ga_entry_span_class(entry)];
        ga_slot_set_if_clear(&inbox->word[page / 64 % GA_INBOX_WORDS], bit);
    } else {
        ga_slot_set_if_clear(ga_view_pending(view, page / 64), bit);
    }
}

#endif
