/* The arenas of a heap as a list to look at: what is behind the addresses of each, and how much of
 * it spans use. It reads meta only. */
#ifndef GA_SHM_ARENAS_H
#define GA_SHM_ARENAS_H

#include "shm/view.h"

struct ga_arena_info {
    uint64_t index;        /* of the first; from 0 */
    uint64_t count;        /* of arenas told of at once: 1 for a Ready one */
    uint32_t state;        /* GA_ARENA_RESERVED and on */
    uint64_t ready_npages; /* committed */
    uint64_t inuse_npages; /* of those, in spans */
};

/* The arena at index, together with those behind it that are in the same state, as long as that
 * says all of them: Reserved or Prepared. Returns 0, or -ENOENT when index is past the reserve. */
int ga_arenas_next(const struct ga_view *view, uint64_t index, struct ga_arena_info *ret);

/* Where the span begins that covers page, which is below the committed end; page itself where none
 * does. */
uint64_t ga_arenas_span_begin(const struct ga_view *view, uint64_t page);

#endif
