/* The words that say who allocates from where:
 *
 * holder (in the span line) = {mcache, returned, sequence}: which mcache allocates from the span.
 *   bits 0..19 mcache id, 0 = none; bit 20: the mcache has given it back; bits 21..63 sequence.
 *   Each store raises the sequence, which outlives leases, deaths and reuse of an id.
 * where (in the mcache, one a span class) = {span, word, sequence}: the word of 64 slots that the
 *   class's cache word is about. bits 0..25 first page of the span, 0 = none; bits 26..29 word;
 *   bits 30..63 sequence, raised by each claim.
 *
 * With both sequences the reads of a free by somebody else are a snapshot (slot.c). */
#ifndef GA_SHM_HOLDER_H
#define GA_SHM_HOLDER_H

#include <stdbool.h>

#include "shm/layout.h"

#define GA_HOLDER_ID_MASK   ((UINT64_C(1) << 20) - 1)
#define GA_HOLDER_RETURNED  (UINT64_C(1) << 20)
#define GA_HOLDER_SEQ_SHIFT 21
#define GA_WHERE_PAGE_MASK  ((UINT64_C(1) << 26) - 1)
#define GA_WHERE_WORD_SHIFT 26
#define GA_WHERE_WORD_MASK  UINT64_C(15)
#define GA_WHERE_SEQ_SHIFT  30

static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= GA_WHERE_PAGE_MASK, "a page fits in where");
static_assert(GA_SPAN_WORDS <= GA_WHERE_WORD_MASK + 1, "a word fits in where");

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

static inline ga_page_id ga_where_page(uint64_t where)
{
    return (ga_page_id)(where & GA_WHERE_PAGE_MASK);
}

static inline uint32_t ga_where_word(uint64_t where)
{
    return (uint32_t)((where >> GA_WHERE_WORD_SHIFT) & GA_WHERE_WORD_MASK);
}

static inline uint64_t ga_where_next(uint64_t where, ga_page_id page, uint32_t word)
{
    return ((where >> GA_WHERE_SEQ_SHIFT) + 1) << GA_WHERE_SEQ_SHIFT |
           (uint64_t)word << GA_WHERE_WORD_SHIFT | page;
}

/* Whether where names this word of this span. */
static inline bool ga_where_is(uint64_t where, ga_page_id page, uint32_t word)
{
    return (where & ((UINT64_C(1) << GA_WHERE_SEQ_SHIFT) - 1)) ==
           ((uint64_t)word << GA_WHERE_WORD_SHIFT | page);
}

#endif
