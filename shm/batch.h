/* Batches of frees by others: a thread that frees several slots of one word in turn, of a span that
 * it does not hold, notes them in its line and changes F once for all of them.
 *
 * The line says which word (batch_where), and which of its slots (batch_mask); a slot is free for
 * the program from the moment it stands there, and for everybody else from the flush on. While F is
 * changed, until the mask is empty, the span line says whose flush is under way: in d a client's,
 * in d_recovery a dead one's, which the server makes. The span's holder takes no slot meanwhile, so
 * that what a death has cut off can be done once more: no slot of the mask is another object by
 * then. README.md tells why each order is as it is. */
#ifndef GA_SHM_BATCH_H
#define GA_SHM_BATCH_H

#include "shm/size_class.h"
#include "shm/slot.h"

/* Slots in spans of longer ones are freed one by one: an idle thread keeps what its line names. */
#define GA_BATCH_SLOT_BYTES_MAX 512u

/* ---- batch_where: a span's first page, and a word of its bitmaps ---- */

#define GA_BATCH_WORD_SHIFT 32

static inline uint64_t ga_batch_where(ga_page_id page, uint32_t word)
{
    return (uint64_t)word << GA_BATCH_WORD_SHIFT | page;
}

static inline ga_page_id ga_batch_page(uint64_t where)
{
    return (ga_page_id)where;
}

static inline uint32_t ga_batch_word(uint64_t where)
{
    return (uint32_t)(where >> GA_BATCH_WORD_SHIFT);
}

/* ---- by the thread whose line it is ---- */

/* A batch as its thread has it. */
struct ga_batch_slots {
    ga_page_id page;
    uint32_t word;
    uint64_t entry; /* of the page when the batch was begun */
    uint64_t mask;  /* as in the line */
    uint64_t a;     /* A's bits of the mask, each from when its slot was put there */
};

/* Whether the span that entry is of may have a batch: one of small slots which is leased to a
 * client that keeps its objects. Those of a private one are freed whole, whoever has named them. */
bool ga_batch_may_begin(const struct ga_view *view, ga_page_id page, uint64_t entry);

/* Begin a batch, once the last is flushed. */
static inline void ga_batch_begin(struct ga_mcache *line, ga_page_id page, uint32_t word)
{
    ga_store_release(&line->batch_where, ga_batch_where(page, word));
}

/* Free the slot bit, which is in use, and A's bit a: one store, the commit. */
static inline void ga_batch_put(struct ga_mcache *line, struct ga_batch_slots *slots, uint64_t bit,
                                uint64_t a)
{
    slots->a = (slots->a & ~bit) | (a & bit);
    slots->mask |= bit;
    ga_store_release(&line->batch_mask, slots->mask);
}

/* Make the slots of the mask free for everybody, and empty it. False, and nothing has happened, if
 * a flush of somebody else into the span is under way. *ret_refused: slots that somebody else has
 * freed meanwhile, which stay as they are. */
bool ga_batch_flush(const struct ga_view *view, ga_mcache_id me, struct ga_batch_slots *slots,
                    uint64_t *ret_refused);

/* ---- by everybody ---- */

/* Whether where is a word of a span of small slots. */
bool ga_batch_can_be(const struct ga_view *view, uint64_t where);

/* Whether the mcache's line has the slot: it is free for the program, though by A and F in use. */
bool ga_batch_names(const struct ga_view *view, ga_mcache_id id, ga_page_id page, uint32_t index);

/* How many slots the mcache's line names that are in use by A and F and free for the program; their
 * span class. 0 also if the line names what cannot be. */
uint32_t ga_batch_count(const struct ga_view *view, ga_mcache_id id, ga_span_class *ret_span_class);

/* ---- by the server ---- */

/* Do what the flush of a dead mcache would have done, or has begun to. May be broken off and done
 * again. */
void ga_batch_recover(const struct ga_view *view, ga_mcache_id id);

/* Whether a server was killed while it did that for this mcache. It is done again before any other
 * of the same span. */
bool ga_batch_is_recovering(const struct ga_view *view, ga_mcache_id id);

#endif
