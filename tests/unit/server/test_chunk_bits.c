/* The chunk bitmap against the numbers of Go's tests, and against bit-by-bit models on random
 * bitmaps. */
#include <stdbool.h>

#include "support/cunit_main.h"

#include "server/chunk_bits.h"

#include "go_vectors.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

#define RANDOM_BITMAPS 3000u

static struct ga_chunk_bits bits_of(const struct go_range *ranges, unsigned n)
{
    struct ga_chunk_bits bits = {{0}};
    for (unsigned i = 0; i < n; i++)
        ga_chunk_bits_set(&bits, ranges[i].first, ranges[i].count);
    return bits;
}

static bool bit_of(const struct ga_chunk_bits *bits, unsigned i)
{
    return bits->word[i / 64] >> i % 64 & 1;
}

/* A bitmap of runs whose mean length differs from one bitmap to the next. */
static struct ga_chunk_bits random_bits(uint64_t *random)
{
    struct ga_chunk_bits bits = {{0}};
    unsigned longest = 1u << ga_test_random(random) % 10;
    bool value = ga_test_random(random) & 1;
    unsigned left = 0;
    for (unsigned i = 0; i < GA_CHUNK_NPAGES; i++) {
        if (left == 0) {
            value = !value;
            left = 1 + (unsigned)(ga_test_random(random) % longest);
        }
        left--;
        bits.word[i / 64] |= (uint64_t)value << i % 64;
    }
    return bits;
}

static unsigned model_find(const struct ga_chunk_bits *bits, unsigned n, unsigned from)
{
    unsigned run = 0;
    for (unsigned i = from; i < GA_CHUNK_NPAGES; i++) {
        run = bit_of(bits, i) ? run + 1 : 0;
        if (run == n)
            return i + 1 - n;
    }
    return GA_CHUNK_NPAGES;
}

static void check_summary(const struct ga_chunk_bits *bits)
{
    unsigned start = 0;
    unsigned end = 0;
    unsigned max = 0;
    while (start < GA_CHUNK_NPAGES && bit_of(bits, start))
        start++;
    while (end < GA_CHUNK_NPAGES && bit_of(bits, GA_CHUNK_NPAGES - 1 - end))
        end++;
    while (max < GA_CHUNK_NPAGES && model_find(bits, max + 1, 0) < GA_CHUNK_NPAGES)
        max++;
    CU_ASSERT_EQUAL(ga_chunk_bits_summarize(bits), ga_page_summary_pack(start, max, end));
}

static void set_and_clear(void)
{
    for (size_t i = 0; i < COUNT(go_set_range); i++) {
        const struct go_set_range *v = &go_set_range[i];
        struct ga_chunk_bits bits = bits_of(&v->range, 1);
        struct ga_chunk_bits rest = {{0}};
        ga_chunk_bits_set(&rest, 0, GA_CHUNK_NPAGES);
        ga_chunk_bits_clear(&rest, v->range.first, v->range.count);
        for (unsigned w = 0; w < GA_CHUNK_WORDS; w++) {
            CU_ASSERT_EQUAL(bits.word[w], v->words[w]);
            CU_ASSERT_EQUAL(rest.word[w], ~v->words[w]);
        }
    }
}

static void count(void)
{
    for (size_t i = 0; i < COUNT(go_popcnt); i++) {
        const struct go_popcnt *v = &go_popcnt[i];
        struct ga_chunk_bits bits = bits_of(v->init, v->ninit);
        for (unsigned j = 0; j < v->ncounts; j++) {
            const struct go_range *range = &v->counts[j].range;
            CU_ASSERT_EQUAL(ga_chunk_bits_count(&bits, range->first, range->count),
                            v->counts[j].count);
        }
    }
}

static void summarize(void)
{
    for (size_t i = 0; i < COUNT(go_summarize); i++) {
        const struct go_summarize *v = &go_summarize[i];
        struct ga_chunk_bits bits = bits_of(v->free, v->nfree);
        ga_page_summary sum = ga_chunk_bits_summarize(&bits);
        CU_ASSERT_EQUAL(ga_page_summary_start(sum), v->start);
        CU_ASSERT_EQUAL(ga_page_summary_max(sum), v->max);
        CU_ASSERT_EQUAL(ga_page_summary_end(sum), v->end);
    }
}

/* Runs that meet or miss the edges of words by one bit, longest last and first. */
static void summarize_at_edges(void)
{
    static const struct go_range cases[][2] = {
        {{65, 62}, {449, 63}}, {{0, 63}, {449, 63}},  {{1, 63}, {129, 62}},
        {{1, 62}, {448, 63}},  {{63, 65}, {200, 64}}, {{63, 2}, {511, 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ga_chunk_bits bits = bits_of(cases[i], 2);
        check_summary(&bits);
    }
}

static void find(void)
{
    for (size_t i = 0; i < COUNT(go_chunk_find); i++) {
        const struct go_chunk_find *v = &go_chunk_find[i];
        struct ga_chunk_bits bits = {{0}};
        ga_chunk_bits_set(&bits, 0, GA_CHUNK_NPAGES);
        for (unsigned j = 0; j < v->nbefore; j++)
            ga_chunk_bits_clear(&bits, v->before[j].first, v->before[j].count);
        for (unsigned j = 0; j < v->nhits; j++) {
            unsigned want = v->hits[j] < 0 ? GA_CHUNK_NPAGES : (unsigned)v->hits[j];
            unsigned got = ga_chunk_bits_find(&bits, v->n, 0);
            CU_ASSERT_EQUAL(got, want);
            if (got < GA_CHUNK_NPAGES)
                ga_chunk_bits_clear(&bits, got, v->n);
        }
    }
}

static void find_in_word(void)
{
    for (size_t i = 0; i < COUNT(go_find_run64); i++) {
        const struct go_find_run64 *v = &go_find_run64[i];
        unsigned want = v->bit < 0 ? 64 : (unsigned)v->bit;
        CU_ASSERT_EQUAL(ga_chunk_bits_find_in_word(v->word, v->n), want);
    }
    for (unsigned n = 1; n <= 64; n++) {
        CU_ASSERT_EQUAL(ga_chunk_bits_find_in_word(UINT64_MAX, n), 0);
        CU_ASSERT_EQUAL(ga_chunk_bits_find_in_word(0, n), 64);
    }
}

static void random_bitmaps(void)
{
    uint64_t random = ga_test_seed();
    for (unsigned i = 0; i < RANDOM_BITMAPS; i++) {
        struct ga_chunk_bits bits = random_bits(&random);
        check_summary(&bits);
        for (unsigned j = 0; j < 30; j++) {
            unsigned n = 1 + (unsigned)(ga_test_random(&random) % (j < 20 ? 70 : 512));
            unsigned from = (unsigned)(ga_test_random(&random) % GA_CHUNK_NPAGES);
            CU_ASSERT_EQUAL(ga_chunk_bits_find(&bits, n, from), model_find(&bits, n, from));
        }
    }
}

static void random_ranges(void)
{
    uint64_t random = ga_test_seed() + 1;
    for (unsigned i = 0; i < RANDOM_BITMAPS; i++) {
        struct ga_chunk_bits before = random_bits(&random);
        struct ga_chunk_bits set = before;
        struct ga_chunk_bits cleared = before;
        unsigned first = (unsigned)(ga_test_random(&random) % GA_CHUNK_NPAGES);
        unsigned n = 1 + (unsigned)(ga_test_random(&random) % (GA_CHUNK_NPAGES - first));
        ga_chunk_bits_set(&set, first, n);
        ga_chunk_bits_clear(&cleared, first, n);
        unsigned inside = 0;
        for (unsigned j = 0; j < GA_CHUNK_NPAGES; j++) {
            bool in = j >= first && j < first + n;
            inside += in && bit_of(&before, j);
            CU_ASSERT_EQUAL(bit_of(&set, j), in || bit_of(&before, j));
            CU_ASSERT_EQUAL(bit_of(&cleared, j), !in && bit_of(&before, j));
        }
        CU_ASSERT_EQUAL(ga_chunk_bits_count(&before, first, n), inside);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"set and clear ranges", set_and_clear},
        {"count ranges", count},
        {"summarize", summarize},
        {"summarize at the edges of words", summarize_at_edges},
        {"find a run", find},
        {"find a run in a word", find_in_word},
        {"random bitmaps: find and summarize", random_bitmaps},
        {"random ranges: set, clear, count", random_ranges},
    };
    return ga_test_main("server.chunk_bits", tests, COUNT(tests));
}
