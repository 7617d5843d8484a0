/* The protocol of a slot: the steps that more than one room takes, or that must be read together.
 *
 * A slot is in use exactly when its bits in A and F differ. A is written by the holder alone, who
 * allocates and frees by changing a slot's bit; F by everyone else, who frees by making the bit in
 * F that in A. Nothing is ever moved from one to the other. README.md tells why each order is as it
 * is. */
#ifndef GA_SHM_SLOT_H
#define GA_SHM_SLOT_H

#include <stdbool.h>

#include "shm/holder.h"
#include "shm/page_entry.h"
#include "shm/view.h"

/* One slot, found and checked: the span's first page, its entry, and the slot's index; in a tiny
 * span the unit of 2 bytes that the object starts at. */
struct ga_slot {
    ga_page_id page;
    uint32_t index;
    uint64_t entry;
};

/* The bits of a bitmap word that stand for slots of a span of nslots. */
static inline uint64_t ga_valid_mask(uint32_t nslots, uint32_t word)
{
    uint32_t first = word * 64;
    if (nslots <= first)
        return 0;
    return nslots - first >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << (nslots - first)) - 1;
}

/* How many bitmap words a span of nslots has. */
static inline uint32_t ga_word_count(uint32_t nslots)
{
    return (nslots + 63) / 64;
}

/* The slots of a word that are free by A and F. F is read seq_cst: who has just begun a lease, or
 * cleared an inbox or pending bit, must not read it as it was before; and who freed a slot had
 * finished with the object. */
static inline uint64_t ga_free_bits(const struct ga_view *view, ga_page_id page, uint32_t word,
                                    uint32_t nslots)
{
    uint64_t f = ga_load_seq_cst(ga_view_f(view, page, word));
    uint64_t a = ga_load_acquire(ga_view_a(view, page, word));
    return ~(a ^ f) & ga_valid_mask(nslots, word);
}

/* The holder begins its lease: it names itself in the span's holder word, and only then may read F
 * (seq_cst: pairs with the free that changes F and then looks whom to tell). */
void ga_slot_begin_lease(const struct ga_view *view, ga_mcache_id me, ga_page_id page);

/* Whether a flush into the span (batch.h) may have changed F and have its mask still; for who has
 * read F before. */
static inline bool ga_slot_is_flushed(const struct ga_view *view, ga_page_id page)
{
    const struct ga_span_line *line = &view->lines[page];
    /* Pairs with the end of a flush, whose mask is empty by then. seq_cst: who finds one under way
     * has cleared his inbox before, or looks there next; who flushes tells after its end. */
    return ga_load_seq_cst(&line->d) != 0 || ga_load_seq_cst(&line->d_recovery) != 0;
}

/* The slots of a word that its holder may allocate: those that are free, if no flush into the span
 * is under way. */
static inline uint64_t ga_slot_find_free(const struct ga_view *view, ga_page_id page, uint32_t word,
                                         uint32_t nslots)
{
    uint64_t slots = ga_free_bits(view, page, word, nslots);
    /* Acquired after F: bits that a flush has changed are seen with the flush's end, or not used.
     */
    return slots == 0 || ga_slot_is_flushed(view, page) ? 0 : slots;
}

/* The slots of a word that are in use, as the holder sees it, who alone takes free ones. */
static inline uint64_t ga_slot_used(_Atomic uint64_t *a_word)
{
    return ga_load_relaxed(a_word) ^ ga_load_acquire(ga_view_f_of(a_word));
}

/* The holder allocates a slot of the word, or frees it: one store, the commit. bit: the slot's. */
static inline void ga_slot_flip(_Atomic uint64_t *a_word, uint64_t bit)
{
    ga_store_release(a_word, ga_load_relaxed(a_word) ^ bit);
}

/* The holder ends its use of a span: the holder word says "returned"; the server may take the span
 * from now on. */
void ga_slot_end_lease(const struct ga_view *view, ga_mcache_id me, ga_page_id page);

/* The one slot of a large span that nobody leases, by its bits in A and F: granted and not yet
 * taken (0, 0), in use (1, 0), freed (1, 1). Who asked for it takes it with one store, the commit;
 * so a grant that nobody ever heard of can be told from an object. */
void ga_slot_take_large(const struct ga_view *view, ga_page_id page);
bool ga_slot_large_is_freed(const struct ga_view *view, ga_page_id page);
bool ga_slot_large_is_untaken(const struct ga_view *view, ga_page_id page);

/* The holder of a large span takes its slot, which is free by A and F: one store, the commit. */
void ga_slot_take_leased_large(const struct ga_view *view, ga_page_id page);

/* Whether the slot is in use, as one snapshot of all the words that say so. *ret_a: its bit in A
 * (as a mask, 0 or the bit). Safe against everything the holder does meanwhile. */
bool ga_slot_in_use(const struct ga_view *view, const struct ga_slot *slot, uint64_t *ret_a);

/* Free a slot that this mcache does not hold: checks, changes F, tells the owner. me: the caller's
 * own mcache, whose telling word names the span meanwhile, so that a death in the middle loses no
 * news. Returns false, and has changed nothing, if the slot is not in use. me 0: the
 * caller has none, and a death in the middle may leave the news to the next look at the span. */
bool ga_slot_free_by_other(const struct ga_view *view, ga_mcache_id me, const struct ga_slot *slot);

/* Free slots of a word, which are in use in a span whose holder is dead: what ga_slot_free_by_other
 * does to F, for many slots at once. Nobody is told. May be repeated. Returns those that nobody
 * else has freed meanwhile. */
uint64_t ga_slot_free_word(const struct ga_view *view, ga_page_id page, uint32_t word,
                           uint64_t slots);
/* The same of a word by where it lies in A and F, as of a tiny span. */
uint64_t ga_slot_free_bits(const _Atomic uint64_t *a, _Atomic uint64_t *f, uint64_t slots);

/* Tell whoever owns the span that slots of it were freed: the owner's inbox bit, or the pending bit
 * where nobody leases it. May be repeated. page must be below the committed end. */
void ga_slot_tell(const struct ga_view *view, ga_page_id page);

/* How many of the span's slots are in use. Of a tiny span: its blocks. */
uint32_t ga_slot_count_used(const struct ga_view *view, ga_page_id page, uint32_t nslots);

#endif
