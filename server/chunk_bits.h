/* A bitmap of the 512 pages of a chunk: ranges set, cleared and counted, runs of set bits found and
 * summarized. What a set bit means is the owner's matter; find and summarize are meant for bitmaps
 * in which it means "free". Plain words with one writer; not thread-safe. */
#ifndef GA_SERVER_CHUNK_BITS_H
#define GA_SERVER_CHUNK_BITS_H

#include <stdint.h>

#include "server/page_summary.h"

#define GA_CHUNK_NPAGES 512u
#define GA_CHUNK_WORDS  (GA_CHUNK_NPAGES / 64)

struct ga_chunk_bits {
    uint64_t word[GA_CHUNK_WORDS]; /* page i is bit i % 64 of word i / 64 */
};

/* Set or clear the n (>= 1) bits from first on; they must lie inside the chunk. */
void ga_chunk_bits_set(struct ga_chunk_bits *bits, unsigned first, unsigned n);
void ga_chunk_bits_clear(struct ga_chunk_bits *bits, unsigned first, unsigned n);

/* How many of the n (>= 1) bits from first on are set; they must lie inside the chunk. */
unsigned ga_chunk_bits_count(const struct ga_chunk_bits *bits, unsigned first, unsigned n);

/* Where the first run of n (1..512) set bits at or after from (0..511) begins; GA_CHUNK_NPAGES
 * when there is none. */
unsigned ga_chunk_bits_find(const struct ga_chunk_bits *bits, unsigned n, unsigned from);

/* The same in one word: where its first run of n (1..64) ones begins; 64 when there is none. */
unsigned ga_chunk_bits_find_in_word(uint64_t word, unsigned n);

/* The runs of set bits, as a summary. */
ga_page_summary ga_chunk_bits_summarize(const struct ga_chunk_bits *bits);

#endif
