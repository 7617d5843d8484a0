/* The chunk bitmap. Runs are found a word at a time: those that cross into a word by carrying the
 * length of the run that reaches its first bit, those inside a word by the doubling shift of Go's
 * runtime (mpallocbits.go). Where bit i of x says that k ones begin at i, bit i of x & (x >> k)
 * says so of 2k ones; hence runs of n take log2(n) steps, whatever the word holds. */
#include "server/chunk_bits.h"

#include <assert.h>
#include <stdbool.h>

/* The longest run of ones inside a word that touches neither of its edges. */
#define INNER_RUN_MAX 62u

static unsigned ones_at_bottom(uint64_t word)
{
    return word == UINT64_MAX ? 64 : (unsigned)__builtin_ctzll(~word);
}

static unsigned ones_at_top(uint64_t word)
{
    return word == UINT64_MAX ? 64 : (unsigned)__builtin_clzll(~word);
}

/* A word of ones where runs of n (1..64) ones begin. */
static uint64_t run_starts(uint64_t word, unsigned n)
{
    unsigned have = 1;
    while (have < n && word) {
        unsigned step = have < n - have ? have : n - have;
        word &= word >> step;
        have += step;
    }
    return word;
}

/* The bits of word w that lie in [first, end), of which w must hold at least one. */
static uint64_t range_mask(unsigned w, unsigned first, unsigned end)
{
    uint64_t mask = UINT64_MAX;
    if (first > w * 64)
        mask &= UINT64_MAX << (first - w * 64);
    if (end < w * 64 + 64)
        mask &= UINT64_MAX >> (w * 64 + 64 - end);
    return mask;
}

static void check_range(unsigned first, unsigned n)
{
    assert(n >= 1 && n <= GA_CHUNK_NPAGES && first <= GA_CHUNK_NPAGES - n);
}

void ga_chunk_bits_set(struct ga_chunk_bits *bits, unsigned first, unsigned n)
{
    check_range(first, n);
    for (unsigned w = first / 64; w <= (first + n - 1) / 64; w++)
        bits->word[w] |= range_mask(w, first, first + n);
}

void ga_chunk_bits_clear(struct ga_chunk_bits *bits, unsigned first, unsigned n)
{
    check_range(first, n);
    for (unsigned w = first / 64; w <= (first + n - 1) / 64; w++)
        bits->word[w] &= ~range_mask(w, first, first + n);
}

unsigned ga_chunk_bits_count(const struct ga_chunk_bits *bits, unsigned first, unsigned n)
{
    check_range(first, n);
    unsigned count = 0;
    for (unsigned w = first / 64; w <= (first + n - 1) / 64; w++)
        count += (unsigned)__builtin_popcountll(bits->word[w] & range_mask(w, first, first + n));
    return count;
}

unsigned ga_chunk_bits_find_in_word(uint64_t word, unsigned n)
{
    assert(n >= 1 && n <= 64);
    uint64_t starts = run_starts(word, n);
    return starts ? (unsigned)__builtin_ctzll(starts) : 64;
}

unsigned ga_chunk_bits_find(const struct ga_chunk_bits *bits, unsigned n, unsigned from)
{
    assert(n >= 1 && n <= GA_CHUNK_NPAGES && from < GA_CHUNK_NPAGES);
    uint64_t mask = UINT64_MAX << from % 64;
    unsigned run = 0; /* set bits that end where the word begins */
    for (unsigned w = from / 64; w < GA_CHUNK_WORDS; w++) {
        uint64_t word = bits->word[w] & mask;
        mask = UINT64_MAX;
        if (run + ones_at_bottom(word) >= n)
            return w * 64 - run;
        if (word == UINT64_MAX) {
            run += 64;
            continue;
        }
        unsigned inner = n <= 64 ? ga_chunk_bits_find_in_word(word, n) : 64;
        if (inner < 64)
            return w * 64 + inner;
        run = ones_at_top(word);
    }
    return GA_CHUNK_NPAGES;
}

ga_page_summary ga_chunk_bits_summarize(const struct ga_chunk_bits *bits)
{
    unsigned start = 0;
    unsigned max = 0;
    unsigned run = 0; /* set bits that end where the word begins */
    bool all_set = true;
    for (unsigned w = 0; w < GA_CHUNK_WORDS; w++) {
        uint64_t word = bits->word[w];
        run += ones_at_bottom(word);
        if (max < run)
            max = run;
        if (word == UINT64_MAX)
            continue;
        if (all_set)
            start = run;
        all_set = false;
        run = ones_at_top(word);
    }
    if (max < run)
        max = run;
    if (all_set)
        start = run;

    /* So far only runs that touch a word's edge were counted. The others need looking for only
     * while they could be longer than those. */
    for (unsigned w = 0; w < GA_CHUNK_WORDS && max < INNER_RUN_MAX; w++)
        for (uint64_t x = run_starts(bits->word[w], max + 1); x; x &= x >> 1)
            max++;
    return ga_page_summary_pack(start, max, run);
}
