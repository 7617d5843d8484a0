/* The index, by the numbers of Go's tests; and which chunks the background leaves alone. */
#include <stdio.h>

#include "support/cunit_main.h"

#include "server/scavenge_index.h"

#include "go_scavenge_vectors.h"

#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define CHUNK_NPAGES 512u
#define NCHUNKS      40u

static struct ga_scavenge_index index_of_heap;

/* Every chunk was full in the last generation and has nothing to give back, and the cursors are at
 * their ends. */
static void set_up(void)
{
    struct ga_scavenge_index *index = &index_of_heap;
    CU_ASSERT_EQUAL_FATAL(ga_scavenge_index_init(index, NCHUNKS), 0);
    for (unsigned c = 0; c < NCHUNKS; c++)
        ga_scavenge_index_alloc(index, c * CHUNK_NPAGES, CHUNK_NPAGES);
    ga_scavenge_index_next_generation(index);
    for (unsigned c = 0; c < NCHUNKS; c++) {
        ga_scavenge_index_free(index, c * CHUNK_NPAGES, CHUNK_NPAGES);
        ga_scavenge_index_set_empty(index, c);
    }
    index->freed_end = 0;
    for (int cursor = 0; cursor < GA_SCAVENGE_CURSORS; cursor++)
        index->end[cursor] = 0;
}

/* Allocate and free the pages of [from, to). */
static void mark(uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t end = (from / CHUNK_NPAGES + 1) * CHUNK_NPAGES;
        unsigned n = (unsigned)((end < to ? end : to) - from);
        ga_scavenge_index_alloc(&index_of_heap, from, n);
        ga_scavenge_index_free(&index_of_heap, from, n);
        from += n;
    }
}

static uint64_t page_of(const unsigned page[2])
{
    return (uint64_t)page[0] * CHUNK_NPAGES + page[1];
}

static bool find(enum ga_scavenge_cursor cursor, uint64_t *ret_page)
{
    uint64_t chunk = 0;
    unsigned page = 0;
    if (!ga_scavenge_index_find(&index_of_heap, cursor, &chunk, &page))
        return false;
    *ret_page = chunk * CHUNK_NPAGES + page;
    return true;
}

static void check_find(enum ga_scavenge_cursor cursor, uint64_t expected, const char *name)
{
    uint64_t page = UINT64_MAX;
    bool found = find(cursor, &page);
    if (!found || page != expected)
        printf("%s: %lld, not %lld\n", name, (long long)page, (long long)expected);
    CU_ASSERT(found && page == expected);
    ga_scavenge_index_set_empty(&index_of_heap, expected / CHUNK_NPAGES);
}

static void go_cases(enum ga_scavenge_cursor cursor)
{
    for (size_t i = 0; i < COUNT(go_scavenge_indexes); i++) {
        const struct go_scavenge_index *v = &go_scavenge_indexes[i];
        uint64_t page;
        set_up();
        for (unsigned m = 0; m < v->nmarks; m++)
            mark(page_of(v->marks[m][0]), page_of(v->marks[m][1]));
        if (cursor == GA_SCAVENGE_BACKGROUND) {
            CU_ASSERT_FALSE(find(cursor, &page));
            ga_scavenge_index_next_generation(&index_of_heap);
        }
        for (unsigned f = 0; f < v->nfinds; f++)
            check_find(cursor, page_of(v->finds[f]), v->name);
        CU_ASSERT_FALSE(find(cursor, &page));
        ga_scavenge_index_fini(&index_of_heap);
    }
}

static void go_background(void)
{
    go_cases(GA_SCAVENGE_BACKGROUND);
}

static void go_forced(void)
{
    go_cases(GA_SCAVENGE_FORCED);
}

static void go_interleaved(void)
{
    for (int i = 0; i < GA_SCAVENGE_CURSORS; i++) {
        enum ga_scavenge_cursor cursor = (enum ga_scavenge_cursor)i;
        uint64_t page;
        set_up();
        for (uint64_t c = 0; c < 32; c++) {
            mark(c * CHUNK_NPAGES, (c + 1) * CHUNK_NPAGES);
            if (cursor == GA_SCAVENGE_BACKGROUND)
                ga_scavenge_index_next_generation(&index_of_heap);
            check_find(cursor, c * CHUNK_NPAGES + CHUNK_NPAGES - 1, "interleaved");
        }
        CU_ASSERT_FALSE(find(cursor, &page));
        ga_scavenge_index_fini(&index_of_heap);
    }
}

/* A chunk with so many pages in use, of which one has been freed in this generation. */
static void fill(unsigned ninuse)
{
    CU_ASSERT_EQUAL_FATAL(ga_scavenge_index_init(&index_of_heap, NCHUNKS), 0);
    ga_scavenge_index_alloc(&index_of_heap, 0, ninuse + 1);
    ga_scavenge_index_next_generation(&index_of_heap);
    ga_scavenge_index_free(&index_of_heap, 7, 1);
}

static void dense_chunks(void)
{
    uint64_t page;
    fill(GA_DENSE_NPAGES - 2);                            /* never dense */
    CU_ASSERT_FALSE(find(GA_SCAVENGE_BACKGROUND, &page)); /* freed just now */
    ga_scavenge_index_next_generation(&index_of_heap);
    check_find(GA_SCAVENGE_BACKGROUND, 7, "not dense");
    ga_scavenge_index_fini(&index_of_heap);

    fill(GA_DENSE_NPAGES - 1); /* dense until now */
    ga_scavenge_index_next_generation(&index_of_heap);
    ga_scavenge_index_free(&index_of_heap, 6, 1);
    CU_ASSERT(find(GA_SCAVENGE_BACKGROUND, &page)); /* it was not when this generation began */
    ga_scavenge_index_fini(&index_of_heap);

    fill(GA_DENSE_NPAGES); /* dense still */
    check_find(GA_SCAVENGE_FORCED, 7, "dense, and somebody needs memory");
    ga_scavenge_index_fini(&index_of_heap);

    fill(GA_DENSE_NPAGES);
    ga_scavenge_index_next_generation(&index_of_heap);
    CU_ASSERT_FALSE(find(GA_SCAVENGE_BACKGROUND, &page));
    /* Sparse now, but dense when this generation began: the one after looks again. */
    ga_scavenge_index_free(&index_of_heap, 8, 5);
    CU_ASSERT_FALSE(find(GA_SCAVENGE_BACKGROUND, &page));
    ga_scavenge_index_next_generation(&index_of_heap);
    check_find(GA_SCAVENGE_BACKGROUND, 12, "no longer dense");
    ga_scavenge_index_fini(&index_of_heap);
}

static void passed_by(void)
{
    uint64_t page = 0;
    set_up();
    mark(3 * CHUNK_NPAGES, 5 * CHUNK_NPAGES);
    ga_scavenge_index_pass(&index_of_heap, GA_SCAVENGE_FORCED, 4);
    ga_scavenge_index_next_generation(&index_of_heap);
    check_find(GA_SCAVENGE_FORCED, 4 * CHUNK_NPAGES - 1, "the one below");
    CU_ASSERT(find(GA_SCAVENGE_BACKGROUND, &page)); /* the other cursor stays */
    CU_ASSERT_EQUAL(page, 5 * CHUNK_NPAGES - 1);
    ga_scavenge_index_pass(&index_of_heap, GA_SCAVENGE_BACKGROUND, 6); /* it never goes up */
    CU_ASSERT(find(GA_SCAVENGE_BACKGROUND, &page));
    CU_ASSERT_EQUAL(page, 5 * CHUNK_NPAGES - 1);
    ga_scavenge_index_fini(&index_of_heap);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"Go's marks, background", go_background},
        {"Go's marks, forced", go_forced},
        {"Go's marks, interleaved", go_interleaved},
        {"dense chunks", dense_chunks},
        {"passed by", passed_by},
    };
    return ga_test_main("server.scavenge_index", tests, COUNT(tests));
}
