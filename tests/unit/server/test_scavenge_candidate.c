/* What is given back next, by the numbers of Go's tests; and whole releases by the page allocator.
 */
#include <stdio.h>

#include "support/cunit_main.h"

#include "server/page_alloc.h"

#include "go_scavenge_vectors.h"

#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define CHUNK_NPAGES 512u
#define PAGE_BYTES   8192u

static uint64_t fill_slowly(uint64_t word, unsigned n)
{
    for (unsigned i = 0; i < 64; i += n) {
        uint64_t group = (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << i;
        if (word & group)
            word |= group;
    }
    return word;
}

static void check_fill(uint64_t word, unsigned n)
{
    uint64_t filled = ga_scavenge_fill_aligned(word, n);
    if (filled != fill_slowly(word, n))
        printf("%016llx, %u: %016llx\n", (unsigned long long)word, n, (unsigned long long)filled);
    CU_ASSERT_EQUAL(filled, fill_slowly(word, n));
}

static void go_fills(void)
{
    uint64_t random = ga_test_seed();
    CU_ASSERT_EQUAL(ga_scavenge_fill_aligned(0x0100a3, 8), 0xff00ff);
    for (unsigned n = 1; n <= 64; n *= 2) {
        for (size_t i = 0; i < COUNT(go_fill_aligned); i++)
            check_fill(go_fill_aligned[i], n);
        check_fill(UINT64_C(1) << (n - 1), n);
        check_fill(UINT64_C(1) << n % 64, n);
        for (unsigned i = 0; i < 1000; i++)
            check_fill(ga_test_random(&random), n);
    }
}

static void go_candidate_cases(void)
{
    for (size_t i = 0; i < COUNT(go_candidates); i++) {
        const struct go_candidate *v = &go_candidates[i];
        struct ga_release_grain grain = {.min_npages = v->min, .huge_npages = 256};
        struct ga_chunk_bits free = {0};
        struct ga_chunk_bits scavenged = {0};
        ga_chunk_bits_set(&free, 0, CHUNK_NPAGES);
        for (unsigned r = 0; r < v->nalloc; r++)
            ga_chunk_bits_clear(&free, v->alloc[r].first, v->alloc[r].count);
        for (unsigned r = 0; r < v->nscav; r++)
            ga_chunk_bits_set(&scavenged, v->scav[r].first, v->scav[r].count);
        unsigned first = 0;
        unsigned n =
            ga_scavenge_candidate(&free, &scavenged, CHUNK_NPAGES - 1, &grain, v->max, &first);
        if (n != v->want.count || first != v->want.first)
            printf("%s: {%u, %u}\n", v->name, first, n);
        CU_ASSERT_EQUAL(n, v->want.count);
        CU_ASSERT_EQUAL(first, v->want.first);
    }
}

/* Without huge pages nothing is taken that was not asked for. */
static void no_huge_pages(void)
{
    struct ga_release_grain grain = {.min_npages = 1, .huge_npages = 1};
    struct ga_chunk_bits free = {0};
    struct ga_chunk_bits scavenged = {0};
    unsigned first = 0;
    ga_chunk_bits_set(&free, 0, 258);
    CU_ASSERT_EQUAL(ga_scavenge_candidate(&free, &scavenged, 511, &grain, 3, &first), 3);
    CU_ASSERT_EQUAL(first, 255);
    /* From a page down, by words. */
    CU_ASSERT_EQUAL(ga_scavenge_candidate(&free, &scavenged, 100, &grain, 3, &first), 3);
    CU_ASSERT_EQUAL(first, 125);
}

static void set_up(struct ga_page_alloc *p, const struct go_scavenge *v)
{
    for (unsigned c = 0; c < v->alloc.nchunks; c++)
        ga_page_alloc_grow(p, (uint64_t)v->alloc.chunks[c].chunk * CHUNK_NPAGES, CHUNK_NPAGES);
    for (unsigned c = 0; c < v->alloc.nchunks; c++) {
        const struct go_chunk *chunk = &v->alloc.chunks[c];
        for (unsigned r = 0; r < chunk->nranges; r++)
            ga_page_alloc_take(p, (uint64_t)chunk->chunk * CHUNK_NPAGES + chunk->ranges[r].first,
                               chunk->ranges[r].count);
    }
    for (unsigned c = 0; c < v->scav.nchunks; c++) {
        const struct go_chunk *chunk = &v->scav.chunks[c];
        for (unsigned r = 0; r < chunk->nranges; r++)
            ga_page_alloc_set_scavenged(
                p, (uint64_t)chunk->chunk * CHUNK_NPAGES + chunk->ranges[r].first,
                chunk->ranges[r].count);
    }
}

/* As much as was asked for, in pages; returns what was released. */
static uint64_t release(struct ga_page_alloc *p, uint64_t bytes)
{
    static const struct ga_release_grain grain = {.min_npages = 1, .huge_npages = 256};
    uint64_t want = bytes == GO_ALL ? GO_ALL : (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    uint64_t released = 0;
    while (released < want) {
        uint64_t page;
        uint64_t n =
            ga_page_alloc_begin_release(p, GA_SCAVENGE_FORCED, &grain, want - released, &page);
        if (n == 0)
            break;
        CU_ASSERT_FALSE(ga_page_alloc_is_free(p, page));
        ga_page_alloc_end_release(p, page, n, true);
        released += n;
    }
    CU_ASSERT(ga_page_alloc_audit(p));
    return released;
}

static uint64_t count_scavenged(const struct ga_page_alloc *p, const struct go_chunks *expected)
{
    uint64_t count = 0;
    for (unsigned c = 0; c < expected->nchunks; c++) {
        const struct go_chunk *chunk = &expected->chunks[c];
        for (unsigned r = 0; r < chunk->nranges; r++)
            for (unsigned i = 0; i < chunk->ranges[r].count; i++) {
                uint64_t page = (uint64_t)chunk->chunk * CHUNK_NPAGES + chunk->ranges[r].first + i;
                CU_ASSERT(ga_page_alloc_is_scavenged(p, page));
                count++;
            }
    }
    return count;
}

static void go_releases(void)
{
    for (size_t i = 0; i < COUNT(go_scavenges); i++) {
        const struct go_scavenge *v = &go_scavenges[i];
        struct ga_page_alloc *p = NULL;
        CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(4097 * CHUNK_NPAGES, &p), 0);
        set_up(p, v);
        for (unsigned r = 0; r < v->nrequests; r++) {
            uint64_t pages = release(p, v->requests[r].bytes);
            if (pages != v->requests[r].pages)
                printf("%s: %llu pages\n", v->name, (unsigned long long)pages);
            CU_ASSERT_EQUAL(pages, v->requests[r].pages);
        }
        CU_ASSERT_EQUAL(count_scavenged(p, &v->after_scav), ga_page_alloc_nscavenged(p));
        ga_page_alloc_free_all(p);
    }
}

/* What could not be released is free as before, and does not keep anybody busy. */
static void refused_release(void)
{
    static const struct ga_release_grain grain = {.min_npages = 1, .huge_npages = 1};
    struct ga_page_alloc *p = NULL;
    uint64_t page;
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(CHUNK_NPAGES, &p), 0);
    ga_page_alloc_grow(p, 0, 20);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_FORCED, &grain, 30, &page), 20);
        CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), 0);
        CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_FORCED, &grain, 30, &page), 0);
        ga_page_alloc_end_release(p, 0, 20, false);
        CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), 20);
        CU_ASSERT_EQUAL(ga_page_alloc_nscavenged(p), 0);
        CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_FORCED, &grain, 30, &page), 0);
        ga_page_alloc_take(p, 3, 1); /* who frees something makes it be looked at again */
        ga_page_alloc_free(p, 3, 1);
        CU_ASSERT(ga_page_alloc_audit(p));
    }
    ga_page_alloc_free_all(p);
}

/* In the background whole grains alone, and what is left of a chunk is not looked at again and
 * again; whoever needs memory gets the rest. */
static void grains(void)
{
    static const struct ga_release_grain coarse = {.min_npages = 8, .huge_npages = 256};
    static const struct ga_release_grain fine = {.min_npages = 1, .huge_npages = 256};
    struct ga_page_alloc *p = NULL;
    uint64_t page;
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(CHUNK_NPAGES, &p), 0);
    ga_page_alloc_grow(p, 3, 31); /* 3..33: three grains, and 7 pages around them */
    ga_page_alloc_next_generation(p);
    CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_BACKGROUND, &coarse, 9, &page), 16);
    CU_ASSERT_EQUAL(page, 16);
    ga_page_alloc_end_release(p, page, 16, true);
    CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_BACKGROUND, &coarse, 9, &page), 8);
    ga_page_alloc_end_release(p, page, 8, true);
    CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_BACKGROUND, &coarse, 9, &page), 0);
    CU_ASSERT_EQUAL(ga_page_alloc_begin_release(p, GA_SCAVENGE_FORCED, &fine, 9, &page), 2);
    CU_ASSERT_EQUAL(page, 32);
    ga_page_alloc_end_release(p, page, 2, true);
    CU_ASSERT_EQUAL(release(p, GO_ALL), 5);
    CU_ASSERT_EQUAL(ga_page_alloc_nscavenged(p), 31);
    ga_page_alloc_free_all(p);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"Go's fills", go_fills},
        {"Go's candidates", go_candidate_cases},
        {"no huge pages", no_huge_pages},
        {"Go's releases", go_releases},
        {"refused release", refused_release},
        {"grains", grains},
    };
    return ga_test_main("server.scavenge_candidate", tests, COUNT(tests));
}
