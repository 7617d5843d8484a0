/* The geometry: where the tables lie, that none overlaps another, and that a damaged header is
 * refused with a clause that says what is wrong. */
#include "shm/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const uint64_t reserves[] = {GA_ARENA_SIZE,        2 * GA_ARENA_SIZE, 5 * GA_ARENA_SIZE,
                                    1000 * GA_ARENA_SIZE, GA_WINDOW_SIZE,    GA_RESERVE_MAX};

struct table {
    uint64_t offset;
    uint64_t bytes;
    uint64_t alignment;
};

static uint64_t round_to(uint64_t bytes, uint64_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

/* The tables, in the order of their place from begin on, cover the object without overlap, and no
 * gap is longer than their alignment asks for. */
static void check_tables(const struct table *tables, size_t count, uint64_t begin,
                         uint64_t object_bytes)
{
    uint64_t end = begin;
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(tables[i].offset, round_to(end, tables[i].alignment));
        end = tables[i].offset + tables[i].bytes;
    }
    CU_ASSERT_EQUAL(object_bytes, round_to(end, GA_OS_PAGE_SIZE));
}

static void check_geometry(const struct ga_meta_header *h, const struct ga_table_counts *n)
{
    uint64_t npages = h->reserve_bytes / GA_PAGE_SIZE;
    const struct table meta[] = {
        {0, sizeof(struct ga_meta_header), 4096},
        {h->clients_offset, n->clients * UINT64_C(128), 4096},
        {h->profiles_offset, n->clients * UINT64_C(32), 4096},
        {h->arenas_offset, h->reserve_bytes / GA_ARENA_SIZE * 8, 4096},
        {h->mcaches_offset, n->mcaches * UINT64_C(16), 4096},
        {h->rings_offset, n->rings * UINT64_C(512), 4096},
        {h->roots_offset, n->roots * UINT64_C(320), 4096},
        {h->holds_offset, n->holds * UINT64_C(24), 4096},
        {h->page_table_offset, npages * 8, 4096},
    };
    check_tables(meta, COUNT(meta), 0, h->meta_bytes);
    const struct table bits[] = {
        {0, sizeof(struct ga_bits_header), 4096},
        {h->bits_gc_words_offset, n->clients * UINT64_C(8), 4096},
        {h->bits_pending_offset, npages / 8, 4096},
        {h->bits_handles_offset, n->handles * UINT64_C(4096), 4096},
        {h->bits_mcaches_offset, n->mcaches * UINT64_C(8192), 4096},
        {h->bits_profiles_offset, (uint64_t)n->clients << 20, 4096},
        {h->bits_wide_offset, npages * 256, 4096},
        {h->bits_lines_offset, npages * 64, 4096},
        {h->bits_tiny_offset, npages * sizeof(struct ga_tiny_bits), 4096},
        {h->bits_samples_offset, npages / 32 * 131072, 4096},
    };
    check_tables(bits, COUNT(bits), 0, h->bits_bytes);
}

/* The tables of a process's own heap: those of meta and bits in one piece of memory. */
static void check_own_geometry(const struct ga_meta_header *h, const struct ga_table_counts *n)
{
    uint64_t npages = h->reserve_bytes / GA_PAGE_SIZE;
    uint64_t bits = ga_geometry_bits_in_meta(h);
    const struct table first[] = {
        {0, sizeof(struct ga_meta_header), 64},
        {h->clients_offset, n->clients * UINT64_C(128), 64},
        {h->profiles_offset, n->clients * UINT64_C(32), 64},
        {h->arenas_offset, h->reserve_bytes / GA_ARENA_SIZE * 8, 64},
        {bits, sizeof(struct ga_bits_header), 4096},
        {bits + h->bits_gc_words_offset, n->clients * UINT64_C(8), 64},
        {h->page_table_offset, npages * 8, 64},
    };
    check_tables(first, COUNT(first), 0, round_to(h->page_table_offset + npages * 8, 4096));
    CU_ASSERT(bits + h->bits_pending_offset >= h->page_table_offset + npages * 8);
    const struct table tables[] = {
        {bits + h->bits_pending_offset, npages / 8, 64},
        {h->mcaches_offset, n->mcaches * UINT64_C(16), 64},
        {h->meta_bytes, 0, 4096},
        {bits + h->bits_mcaches_offset, n->mcaches * UINT64_C(8192), 4096},
        {bits + h->bits_profiles_offset, (uint64_t)n->clients << 20, 4096},
        {bits + h->bits_wide_offset, npages * 256, UINT64_C(2) << 20},
        {bits + h->bits_lines_offset, npages * 64, 4096},
        {bits + h->bits_tiny_offset, npages * sizeof(struct ga_tiny_bits), 4096},
        {bits + h->bits_samples_offset, npages / 32 * 131072, 4096},
    };
    check_tables(tables, COUNT(tables), bits + h->bits_pending_offset, bits + h->bits_bytes);
}

static void tables_do_not_overlap(void)
{
    for (size_t i = 0; i < COUNT(reserves); i++) {
        struct ga_meta_header h = {0};
        const struct ga_table_counts of_server = ga_table_counts_of_server();
        ga_geometry_init(&h, reserves[i], &of_server);
        CU_ASSERT_EQUAL(h.reserve_bytes, reserves[i]);
        CU_ASSERT_EQUAL(h.counts.clients, 4096);
        CU_ASSERT_EQUAL(h.counts.mcaches, 65536);
        CU_ASSERT_EQUAL(h.counts.rings, 65536);
        CU_ASSERT_EQUAL(h.counts.roots, 4096);
        CU_ASSERT_EQUAL(h.counts.holds, 4096);
        CU_ASSERT_EQUAL(h.counts.handles, 4096);
        check_geometry(&h, &of_server);
    }
}

/* A process's own heap has little beside the pages, and what a short life touches lies together. */
static void own_heaps_are_small(void)
{
    for (size_t i = 0; i < COUNT(reserves); i++) {
        struct ga_meta_header h = {0};
        const struct ga_table_counts n = ga_table_counts_of_process(reserves[i]);
        ga_geometry_init(&h, reserves[i], &n);
        CU_ASSERT_EQUAL(n.clients, 1);
        CU_ASSERT(n.mcaches >= 1024 && n.mcaches <= GA_MCACHE_COUNT);
        CU_ASSERT_EQUAL(n.rings + n.roots + n.holds + n.handles, 0);
        check_own_geometry(&h, &n);
        CU_ASSERT(h.arenas_offset + 8 <= GA_OS_PAGE_SIZE);
        CU_ASSERT(h.page_table_offset - ga_geometry_bits_in_meta(&h) + 8 <= GA_OS_PAGE_SIZE);
        /* Where the pending bits begin, backwards, the mcaches do. */
        uint64_t bits = ga_geometry_bits_in_meta(&h);
        uint64_t pending_end = bits + h.bits_pending_offset + reserves[i] / GA_PAGE_SIZE / 8;
        CU_ASSERT_EQUAL(pending_end % (UINT64_C(2) << 20), UINT64_C(1) << 20);
        CU_ASSERT(bits + h.bits_mcaches_offset - pending_end <= UINT64_C(1) << 20);
    }
    CU_ASSERT_EQUAL(ga_table_counts_of_process(GA_ARENA_SIZE).mcaches, 1024);
    CU_ASSERT_EQUAL(ga_table_counts_of_process(GA_WINDOW_SIZE).mcaches, GA_MCACHE_COUNT);
}

/* Geometry is all that is written: what stands in the header beside it stays. */
static void geometry_leaves_the_rest(void)
{
    struct ga_meta_header h;
    memset(&h, 0x5a, sizeof(h));
    struct ga_meta_header before = h;
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&h, GA_ARENA_SIZE, &counts);
    CU_ASSERT_EQUAL(memcmp(&h, &before, offsetof(struct ga_meta_header, reserve_bytes)), 0);
    CU_ASSERT_EQUAL(h.limit_bytes, before.limit_bytes);
    CU_ASSERT_EQUAL(memcmp(h.name, before.name, sizeof(h.name) + sizeof(h.server_version)), 0);
}

static struct ga_meta_header good_header(void)
{
    struct ga_meta_header h = {.magic = GA_META_MAGIC,
                               .layout_version = GA_LAYOUT_VERSION,
                               .header_bytes = sizeof(h),
                               .base = GA_WINDOW_LOW,
                               .sample_words = GA_SAMPLE_WORDS_MIN};
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&h, 3 * GA_ARENA_SIZE, &counts);
    return h;
}

static void check_refused(const struct ga_meta_header *h, const char *clause)
{
    char why[128] = "";
    CU_ASSERT_EQUAL(ga_geometry_check(h, why, sizeof(why)), -EPROTO);
    if (!strstr(why, clause))
        printf("\"%s\" was to say \"%s\"\n", why, clause);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, clause));
}

static void good_headers_pass(void)
{
    for (size_t i = 0; i < COUNT(reserves); i++) {
        struct ga_meta_header h = good_header();
        const struct ga_table_counts counts[] = {ga_table_counts_of_server(),
                                                 ga_table_counts_of_process(reserves[i]),
                                                 {.clients = 1, .mcaches = 2},
                                                 {.clients = 7, .mcaches = 9, .roots = 3}};
        for (size_t k = 0; k < COUNT(counts); k++) {
            ga_geometry_init(&h, reserves[i], &counts[k]);
            char why[128] = "untouched";
            CU_ASSERT_EQUAL(ga_geometry_check(&h, why, sizeof(why)), 0);
            CU_ASSERT_STRING_EQUAL(why, "untouched");
        }
    }
}

static void damage_is_refused(void)
{
    struct ga_meta_header h = good_header();
    h.magic ^= 1;
    check_refused(&h, "no goalloc heap");
    h = (struct ga_meta_header){0};
    check_refused(&h, "no goalloc heap");

    h = good_header();
    h.layout_version++;
    char expected[64];
    snprintf(expected, sizeof(expected), "version is %u, known here is %u", GA_LAYOUT_VERSION + 1,
             GA_LAYOUT_VERSION);
    check_refused(&h, expected);

    static const uint64_t bad_reserves[] = {0,
                                            1,
                                            GA_ARENA_SIZE - 1,
                                            GA_ARENA_SIZE + GA_PAGE_SIZE,
                                            GA_RESERVE_MAX + GA_ARENA_SIZE,
                                            UINT64_MAX,
                                            UINT64_MAX - GA_ARENA_SIZE + 1};
    for (size_t i = 0; i < COUNT(bad_reserves); i++) {
        h = good_header();
        h.reserve_bytes = bad_reserves[i];
        check_refused(&h, "header is damaged: base");
    }
    static const uint64_t bad_bases[] = {0, 1, GA_WINDOW_LOW + GA_PAGE_SIZE};
    for (size_t i = 0; i < COUNT(bad_bases); i++) {
        h = good_header();
        h.base = bad_bases[i];
        check_refused(&h, "header is damaged: base");
    }
    static const uint64_t bad_words[] = {0, GA_SAMPLE_WORDS_MIN / 2, GA_SAMPLE_WORDS_MIN + 1,
                                         2 * GA_SAMPLE_WORDS_MAX};
    for (size_t i = 0; i < COUNT(bad_words); i++) {
        h = good_header();
        h.sample_words = bad_words[i];
        check_refused(&h, "words in a set of samples");
    }
    /* Another good reserve does not go with these tables. */
    h = good_header();
    h.reserve_bytes += GA_ARENA_SIZE;
    check_refused(&h, "offsets are wrong");
}

/* Counts that no heap can have are refused, also where the offsets go with them: an index would
 * leave its table, or its field. */
static void counts_are_checked(void)
{
    static const struct ga_table_counts bad[] = {
        {.clients = 0, .mcaches = 2},
        {.clients = GA_CLIENT_COUNT + 1, .mcaches = 2},
        {.clients = UINT32_MAX, .mcaches = 2},
        {.clients = 1, .mcaches = 1},
        {.clients = 1, .mcaches = GA_MCACHE_COUNT + 1},
        {.clients = 1, .mcaches = 8, .rings = 1},
        {.clients = 1, .mcaches = 8, .rings = 9},
        {.clients = 1, .mcaches = 8, .roots = GA_ROOT_COUNT + 1},
        {.clients = 1, .mcaches = 8, .holds = GA_HOLD_COUNT + 1},
        {.clients = 2, .mcaches = 8, .handles = 1},
        {.clients = 2, .mcaches = 8, .handles = UINT32_MAX},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ga_meta_header h = good_header();
        ga_geometry_init(&h, 3 * GA_ARENA_SIZE, &bad[i]);
        check_refused(&h, "no heap has tables of");
    }
    /* Others that can be do not go with these offsets. */
    struct ga_meta_header h = good_header();
    h.counts.clients--;
    h.counts.handles--;
    check_refused(&h, "offsets are wrong");
}

/* Each single offset is looked at, in each of its bytes. */
static void every_offset_counts(void)
{
    size_t from = offsetof(struct ga_meta_header, arenas_offset);
    size_t to = offsetof(struct ga_meta_header, name);
    CU_ASSERT_EQUAL(to - from, 19 * sizeof(uint64_t));
    for (size_t i = from; i < to; i++) {
        struct ga_meta_header h = good_header();
        ((unsigned char *)&h)[i] ^= 0x10;
        check_refused(&h, "offsets are wrong");
    }
}

/* A sentence too long for its room is cut, not written past it. */
static void clause_fits_its_room(void)
{
    struct ga_meta_header h = good_header();
    h.magic = 0;
    char why[8] = "AAAAAAA";
    CU_ASSERT_EQUAL(ga_geometry_check(&h, why, 5), -EPROTO);
    CU_ASSERT_STRING_EQUAL(why, "it i");
    CU_ASSERT_EQUAL(why[5], 'A');
}

static void view_points_at_the_tables(void)
{
    struct ga_meta_header h = good_header();
    static char bits[64];
    struct ga_view view = ga_view_of(&h, bits);
    const char *m = (const char *)&h;
    CU_ASSERT_PTR_EQUAL(view.meta, &h);
    CU_ASSERT_PTR_EQUAL(view.arenas, m + h.arenas_offset);
    CU_ASSERT_PTR_EQUAL(view.clients, m + h.clients_offset);
    CU_ASSERT_PTR_EQUAL(view.mcache_entries, m + h.mcaches_offset);
    CU_ASSERT_PTR_EQUAL(view.rings, m + h.rings_offset);
    CU_ASSERT_PTR_EQUAL(view.roots, m + h.roots_offset);
    CU_ASSERT_PTR_EQUAL(view.page_table, m + h.page_table_offset);
    CU_ASSERT_PTR_EQUAL(view.mcaches, bits + h.bits_mcaches_offset);
    CU_ASSERT_PTR_EQUAL(view.pending_end,
                        bits + h.bits_pending_offset + 3 * GA_PAGES_PER_ARENA / 8);
    CU_ASSERT_PTR_EQUAL(ga_view_pending(&view, 0), view.pending_end - 1);
    CU_ASSERT_PTR_EQUAL(ga_view_pending(&view, 3 * GA_PAGES_PER_ARENA / 64 - 1),
                        bits + ga_geometry_pending(&h, 3 * GA_PAGES_PER_ARENA));
    /* A page more than whole words hold has a word of its own. */
    CU_ASSERT_PTR_EQUAL(ga_view_pending(&view, 1), bits + ga_geometry_pending(&h, 65));
    CU_ASSERT_PTR_EQUAL(view.handles, bits + h.bits_handles_offset);
    CU_ASSERT_PTR_EQUAL(view.gc_words, bits + h.bits_gc_words_offset);
    CU_ASSERT_PTR_EQUAL(view.lines, bits + h.bits_lines_offset);
    CU_ASSERT_PTR_EQUAL(view.wide_end, bits + h.bits_wide_offset + 3 * GA_PAGES_PER_ARENA * 256);
    CU_ASSERT_PTR_EQUAL(view.tiny, bits + h.bits_tiny_offset);
    CU_ASSERT_PTR_EQUAL(view.profiles, bits + h.bits_profiles_offset);
    CU_ASSERT_PTR_EQUAL(view.samples, bits + h.bits_samples_offset);
    CU_ASSERT_PTR_EQUAL(view.profile_entries, m + h.profiles_offset);
}

/* The words of a span's bitmaps: two in its line, fourteen in its part of the wide plane, A and F
 * never the same. */
static void words_of_a_span(void)
{
    static struct ga_span_line lines[3];
    static struct ga_span_wide wide[4];
    struct ga_view view = {.lines = lines, .wide_end = wide + 4};
    const char *a_before = NULL;
    for (uint32_t word = 0; word < GA_SPAN_WORDS; word++) {
        const char *a = (const char *)ga_view_a(&view, 1, word);
        const char *f = (const char *)ga_view_f(&view, 1, word);
        const char *from = word < 2 ? (const char *)&lines[1] : (const char *)&wide[2];
        size_t bytes = word < 2 ? sizeof(lines[1]) : sizeof(wide[2]);
        CU_ASSERT(a >= from && a + 8 <= from + bytes);
        CU_ASSERT(f >= from && f + 8 <= from + bytes);
        CU_ASSERT_EQUAL(f - a, 16);
        CU_ASSERT(word < 3 || a - a_before == (word % 2 ? 8 : 24));
        a_before = a;
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"tables do not overlap", tables_do_not_overlap},
        {"geometry leaves the rest of the header", geometry_leaves_the_rest},
        {"good headers pass", good_headers_pass},
        {"damage is refused", damage_is_refused},
        {"a process's own heap is small", own_heaps_are_small},
        {"counts are checked", counts_are_checked},
        {"every offset counts", every_offset_counts},
        {"the clause fits its room", clause_fits_its_room},
        {"the view points at the tables", view_points_at_the_tables},
        {"words of a span", words_of_a_span},
    };
    return ga_test_main("shm.view", tests, COUNT(tests));
}
