/* As findScavengeCandidate of Go's runtime (mgcscavenge.go): a bitmap in which a one says that the
 * page is to be left alone is walked down a word at a time, and the length of a run of zeros is
 * carried from word to word. */
#include "server/scavenge_candidate.h"

#include <assert.h>
#include <stdbool.h>

uint64_t ga_scavenge_fill_aligned(uint64_t word, unsigned n)
{
    assert(n >= 1 && n <= 64 && (n & (n - 1)) == 0);
    if (n == 1)
        return word;
    /* The top bit of each group; below that the sum carries into it where any bit was set. */
    uint64_t top = UINT64_C(1) << (n - 1);
    for (unsigned width = n; width < 64; width *= 2)
        top |= top << width;
    uint64_t used = (((word & ~top) + ~top) | word) & top;
    /* From the top bit downwards: twice it, less one of the group's lowest bit. */
    return used | (used - (used >> (n - 1)));
}

/* The pages of word w that are to be left alone, by whole grains. */
static uint64_t kept(const struct ga_chunk_bits *free, const struct ga_chunk_bits *scavenged,
                     unsigned w, unsigned min_npages)
{
    return ga_scavenge_fill_aligned(~free->word[w] | scavenged->word[w], min_npages);
}

static unsigned zeros_at_top(uint64_t word)
{
    return word ? (unsigned)__builtin_clzll(word) : 64;
}

static unsigned ones_at_top(uint64_t word)
{
    return zeros_at_top(~word);
}

static unsigned down_to(unsigned n, unsigned multiple)
{
    return n & ~(multiple - 1);
}

/* Where a candidate begins that may begin anywhere from lowest on: at start, or lower where that
 * lies inside a huge page that is all there. */
static unsigned keep_huge(unsigned lowest, unsigned start, unsigned end, unsigned huge_npages)
{
    unsigned below = down_to(start, huge_npages);
    bool whole_is_there = below >= lowest && below + huge_npages <= end;
    return below != start && whole_is_there ? below : start;
}

unsigned ga_scavenge_candidate(const struct ga_chunk_bits *free,
                               const struct ga_chunk_bits *scavenged, unsigned from,
                               const struct ga_release_grain *grain, uint64_t max_npages,
                               unsigned *ret_first)
{
    unsigned min = grain->min_npages;
    assert(from < GA_CHUNK_NPAGES && min >= 1 && min <= 64);
    unsigned w = from / 64;
    uint64_t word;
    while ((word = kept(free, scavenged, w, min)) == UINT64_MAX)
        if (w-- == 0)
            return 0;

    unsigned above = ones_at_top(word);
    unsigned end = w * 64 + 64 - above;
    unsigned run = zeros_at_top(word << above);
    if (run >= 64 - above) { /* it goes on in the words below */
        run = 64 - above;
        while (w-- > 0) {
            word = kept(free, scavenged, w, min);
            run += zeros_at_top(word);
            if (word)
                break;
        }
    }
    uint64_t most = max_npages <= min ? min : (max_npages + min - 1) / min * min;
    unsigned n = run < most ? run : (unsigned)most;
    unsigned first = keep_huge(end - run, end - n, end, grain->huge_npages);
    *ret_first = first;
    return end - first;
}
