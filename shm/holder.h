/* The word that says who allocates from a span:
 *
 * holder (in the span line) = {mcache, returned, sequence}.
 *   bits 0..19 mcache id, 0 = none; bit 20: the mcache has given it back; bits 21..63 sequence.
 *   Each store raises the sequence, which outlives leases, deaths and reuse of an id: so who finds
 *   it unchanged after reading the span's words has read those of one lease (slot.c). */
#ifndef GA_SHM_HOLDER_H
#define GA_SHM_HOLDER_H

#include <stdbool.h>

#include "shm/layout.h"

#define GA_HOLDER_ID_MASK   ((UINT64_C(1) << 20) - 1)
#define GA_HOLDER_RETURNED  (UINT64_C(1) << 20)
#define GA_HOLDER_SEQ_SHIFT 21

static inline ga_mcache_id ga_holder_id(uint64_t holder)
{
    return (ga_mcache_id)(holder & GA_HOLDER_ID_MASK);
}

/* The word that follows holder when its mcache becomes id; returned_flag is 0 or
 * GA_HOLDER_RETURNED. */
static inline uint64_t ga_holder_next(uint64_t holder, ga_mcache_id id, uint64_t returned_flag)
{
    return ((holder >> GA_HOLDER_SEQ_SHIFT) + 1) << GA_HOLDER_SEQ_SHIFT | returned_flag | id;
}

/* Whether holder says "leased by id". */
static inline bool ga_holder_is_leased_by(uint64_t holder, ga_mcache_id id)
{
    return (holder & (GA_HOLDER_ID_MASK | GA_HOLDER_RETURNED)) == id;
}

/* Whether holder says "given back by id". */
static inline bool ga_holder_is_returned_by(uint64_t holder, ga_mcache_id id)
{
    return (holder & (GA_HOLDER_ID_MASK | GA_HOLDER_RETURNED)) == (GA_HOLDER_RETURNED | id);
}

#endif
