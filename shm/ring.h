/* The lease-ahead ring: how spans that a client will need soon reach it without a reply to wait
 * for.
 *
 * An entry is one word: bits 0..25 the span's first page; bits 26..27 state; bits 28..63 sequence.
 * The n-th entry ever written has sequence n and lies at (n - 1) modulo GA_RING_ENTRIES. The server
 * writes it RESERVED, then makes the mcache the span's owner in the page table, then writes it
 * READY; so a server that dies in between leaves what its successor can finish or drop by what the
 * page table says. The client takes the READY entry with the next sequence, and checks the owner.
 * How far it has come is told by ring_taken in its mcache, which the server does not believe beyond
 * what it has written itself. Writer of entries: the server. */
#ifndef GA_SHM_RING_H
#define GA_SHM_RING_H

#include "shm/layout.h"

enum {
    GA_RING_EMPTY = 0,
    GA_RING_RESERVED = 1,
    GA_RING_READY = 2,
};

#define GA_RING_PAGE_MASK   ((UINT64_C(1) << 26) - 1)
#define GA_RING_STATE_SHIFT 26
#define GA_RING_SEQ_SHIFT   28

static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= GA_RING_PAGE_MASK, "a page fits in an entry");

static inline uint64_t ga_ring_entry(uint64_t sequence, uint32_t state, ga_page_id page)
{
    return sequence << GA_RING_SEQ_SHIFT | (uint64_t)state << GA_RING_STATE_SHIFT | page;
}

static inline ga_page_id ga_ring_page(uint64_t entry)
{
    return (ga_page_id)(entry & GA_RING_PAGE_MASK);
}

static inline uint32_t ga_ring_state(uint64_t entry)
{
    return (uint32_t)(entry >> GA_RING_STATE_SHIFT & 3);
}

static inline uint64_t ga_ring_sequence(uint64_t entry)
{
    return entry >> GA_RING_SEQ_SHIFT;
}

/* Where the entry with this sequence (from 1) lies. */
static inline uint32_t ga_ring_index(uint64_t sequence)
{
    return (uint32_t)((sequence - 1) % GA_RING_ENTRIES);
}

#endif
