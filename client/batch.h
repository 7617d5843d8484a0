/* The batch of frees by others that a thread collects (shm/batch.h): which word it is of, and the
 * free that joins it.
 *
 * A batch is begun by the second free in a row in one word, for one that is alone costs less by
 * itself; and it is flushed when all of the word's slots are in it, when another is begun, when the
 * thread looks for memory, and when it leaves its cache. The thread alone uses it. */
#ifndef GA_CLIENT_BATCH_H
#define GA_CLIENT_BATCH_H

#include "shm/batch.h"

struct ga_thread_cache;

/* There is one as long as it has slots: for these are in use by A and F, and so their span stays.
 * All zero: there is none, and the thread has freed nothing of others. */
struct ga_batch {
    /* What each free by this thread as another looks at comes first. */
    _Alignas(64) uintptr_t base;  /* where the word's first slot lies */
    uint32_t bytes;               /* from there to the end of its last; 0 = there is no batch */
    uint32_t size, magic;         /* of its slots (size_class.h) */
    const _Atomic uint64_t *last; /* the word that the last such free was in */
    uint64_t last_bit;            /* its slot, if no batch took it */
    struct ga_batch_slots slots;
    uint64_t rest; /* the word's slots, but for the one whose free came before the batch */
    _Atomic uint64_t *a_word;
    const struct ga_span_line *line;
    struct ga_mcache *shared;
    _Atomic uint64_t *nfree; /* where its frees are counted */
};

/* Make what the batch has collected free for everybody: nothing where that is nothing, and where
 * somebody else is flushing into the same span. What was not in use any more is reported. */
void ga_batch_flush_own(struct ga_thread_cache *cache);

/* Begin a batch of the slot's word with the free of it, if its span may have one and the last can
 * be flushed. The free before was of another slot of the word, and this one is in use, with A's bit
 * a, in a span that somebody else holds and where nothing is. Whether that was done: there is no
 * batch without a slot, whose span could go and another, of a private client, begin there. */
bool ga_batch_open(struct ga_thread_cache *cache, const struct ga_slot *slot, uint64_t a);

/* Note the free of a slot, bit in a_word, that no batch takes as yet. Whether the one before was in
 * this word too. */
static inline bool ga_batch_meets_again(struct ga_batch *batch, const _Atomic uint64_t *a_word,
                                        uint64_t bit)
{
    if (batch->last == a_word)
        return true;
    batch->last = a_word;
    batch->last_bit = bit;
    return false;
}

/* Whether the batch has the slot: it is free, though by A and F in use. */
static inline bool ga_batch_has(const struct ga_batch *batch, ga_page_id page, uint32_t index)
{
    return batch->slots.page == page && batch->slots.word == index / 64 &&
           (batch->slots.mask >> index % 64 & 1) != 0;
}

/* Whether p lies in the batch's word. */
static inline bool ga_batch_reaches(const struct ga_batch *batch, const void *p)
{
    return (uintptr_t)p - batch->base < batch->bytes;
}

/* Free a slot of the batch's word, bit, which is in use with A's bit a; flushes the batch if that
 * made it full. batch: cache's. */
static inline void ga_batch_add(struct ga_thread_cache *cache, struct ga_batch *batch, uint64_t bit,
                                uint64_t a)
{
    ga_batch_put(batch->shared, &batch->slots, bit, a);
    ga_count_one(batch->nfree);
    batch->last = batch->a_word;
    if (__builtin_expect((~batch->slots.mask & batch->rest) == 0, 0))
        ga_batch_flush_own(cache);
}

/* Free p, whose page has this entry, if it is in the batch's word and in use, and nothing is held
 * in its span. False, and nothing has happened, if that is not so. batch: cache's. */
static inline bool ga_batch_free(struct ga_thread_cache *cache, struct ga_batch *batch,
                                 uint64_t entry, const void *p)
{
    uint64_t offset = (uintptr_t)p - batch->base;
    if (offset >= batch->bytes)
        return false;
    uint32_t index = (uint32_t)(offset * batch->magic >> 32);
    uint64_t bit = UINT64_C(1) << index;
    uint64_t a = ga_load_acquire(batch->a_word);
    uint64_t used = (a ^ ga_load_acquire(ga_view_f_of(batch->a_word))) & ~batch->slots.mask;
    /* The entry: where somebody has freed the batch's slots a second time, its span may be gone.
     * seq_cst: as in goalloc_free. */
    if (__builtin_expect(index * batch->size != offset || (used & bit) == 0 ||
                             !ga_entry_is_same_span(batch->slots.entry, entry) ||
                             ga_load_seq_cst(&batch->line->nholds) != 0,
                         0))
        return false;
    ga_batch_add(cache, batch, bit, a);
    return true;
}

#endif
