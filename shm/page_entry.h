/* A page table entry: all that a free must know of a page's geometry, in one 64-bit word.
 *
 *   bits 0..7    span class
 *   bits 8..33   on the span's first page its length in pages; on the others the distance to it
 *   bits 34..53  on the first page the owner's mcache id (0 = none: tell the server);
 *                on the second page of a large span, index + 1 of the client that asked for it
 *   bit 54       in use       bit 55  first page     bit 56  large
 *   bit 57       tiny         bit 58  needs zeroing  bit 59  scavenged
 *   bit 60       orphan: its objects go when nothing reaches them
 *
 * Only the first page's entry counts: it is written last when a span is made and first when it is
 * freed, so each change commits with one store. Entries of other pages may be stale, and what they
 * say is believed only if the first page's entry covers them. Writer: the server.
 *
 * A span that does not need zeroing is of memory that was zero when it was made. Of a small span
 * that holds until its first lease ends: the store that takes the owner out of the entry says that
 * it needs zeroing from now on.
 *
 * An orphan is a span with objects that a client has left which is managed, or whose policy is
 * unreachable: a collection frees what nothing reaches. Nobody leases it before it is empty. */
#ifndef GA_SHM_PAGE_ENTRY_H
#define GA_SHM_PAGE_ENTRY_H

#include <stdbool.h>

#include "shm/layout.h"

#define GA_ENTRY_SPAN_SHIFT  8
#define GA_ENTRY_SPAN_MASK   ((UINT64_C(1) << 26) - 1)
#define GA_ENTRY_OWNER_SHIFT 34
#define GA_ENTRY_OWNER_MASK  ((UINT64_C(1) << 20) - 1)
#define GA_ENTRY_INUSE       (UINT64_C(1) << 54)
#define GA_ENTRY_FIRST       (UINT64_C(1) << 55)
#define GA_ENTRY_LARGE       (UINT64_C(1) << 56)
#define GA_ENTRY_TINY        (UINT64_C(1) << 57)
#define GA_ENTRY_NEEDZERO    (UINT64_C(1) << 58)
#define GA_ENTRY_SCAVENGED   (UINT64_C(1) << 59)
#define GA_ENTRY_ORPHAN      (UINT64_C(1) << 60)

static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= GA_ENTRY_SPAN_MASK, "a length fits in its field");
static_assert(GA_MCACHE_COUNT - 1 <= GA_ENTRY_OWNER_MASK, "a mcache id fits in its field");

static inline uint64_t ga_entry_make(ga_span_class span_class, uint64_t length_or_distance,
                                     ga_mcache_id owner, uint64_t flags)
{
    return (uint64_t)span_class | length_or_distance << GA_ENTRY_SPAN_SHIFT |
           (uint64_t)owner << GA_ENTRY_OWNER_SHIFT | flags;
}

static inline ga_span_class ga_entry_span_class(uint64_t entry)
{
    return (ga_span_class)(entry & 0xff);
}

/* The span's length, if entry is a first page's. */
static inline uint64_t ga_entry_npages(uint64_t entry)
{
    return (entry >> GA_ENTRY_SPAN_SHIFT) & GA_ENTRY_SPAN_MASK;
}

/* How many pages before this one the span begins. */
static inline uint64_t ga_entry_distance(uint64_t entry)
{
    return entry & GA_ENTRY_FIRST ? 0 : (entry >> GA_ENTRY_SPAN_SHIFT) & GA_ENTRY_SPAN_MASK;
}

static inline ga_mcache_id ga_entry_owner(uint64_t entry)
{
    return (ga_mcache_id)((entry >> GA_ENTRY_OWNER_SHIFT) & GA_ENTRY_OWNER_MASK);
}

static inline uint64_t ga_entry_with_owner(uint64_t entry, ga_mcache_id owner)
{
    return (entry & ~(GA_ENTRY_OWNER_MASK << GA_ENTRY_OWNER_SHIFT)) | (uint64_t)owner
                                                                          << GA_ENTRY_OWNER_SHIFT;
}

/* Whether two readings of a first page's entry speak of one span; its owner may have changed, and
 * what the end of a lease says besides. */
static inline bool ga_entry_is_same_span(uint64_t before, uint64_t now)
{
    return ((ga_entry_with_owner(before, 0) ^ ga_entry_with_owner(now, 0)) &
            ~(GA_ENTRY_NEEDZERO | GA_ENTRY_ORPHAN)) == 0;
}

/* Whether entry is the first page's of a span in use. */
static inline bool ga_entry_is_span(uint64_t entry)
{
    return (entry & (GA_ENTRY_INUSE | GA_ENTRY_FIRST)) == (GA_ENTRY_INUSE | GA_ENTRY_FIRST);
}

/* The same of a span of small slots that are not tiny. */
static inline bool ga_entry_is_small_span(uint64_t entry)
{
    return (entry & (GA_ENTRY_INUSE | GA_ENTRY_FIRST | GA_ENTRY_LARGE | GA_ENTRY_TINY)) ==
           (GA_ENTRY_INUSE | GA_ENTRY_FIRST);
}

#endif
