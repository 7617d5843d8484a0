/* Which pages of a chunk go back to the system next: the highest run of those that are free and not
 * scavenged. Pure functions of two bitmaps. */
#ifndef GA_SERVER_SCAVENGE_CANDIDATE_H
#define GA_SERVER_SCAVENGE_CANDIDATE_H

#include "server/chunk_bits.h"

/* What a release takes. */
struct ga_release_grain {
    unsigned min_npages;  /* runs of this many, aligned to as many: a power of two, 1..64 */
    unsigned huge_npages; /* of a huge page that is not to be cut in two, a power of two up to
                             GA_CHUNK_NPAGES; 1 = there are none */
};

/* word with each group of n (a power of two, 1..64) bits filled with ones that has a one in it;
 * groups are aligned to n. */
uint64_t ga_scavenge_fill_aligned(uint64_t word, unsigned n);

/* The highest candidate that ends at page `from` (0..511) of the chunk, or in whose word that lies,
 * or below: whole grains, up to max_npages rounded up to grains, one at least; more where less
 * would cut a huge page that is free as a whole. Returns its length, 0 if there is none. */
unsigned ga_scavenge_candidate(const struct ga_chunk_bits *free,
                               const struct ga_chunk_bits *scavenged, unsigned from,
                               const struct ga_release_grain *grain, uint64_t max_npages,
                               unsigned *ret_first);

#endif
