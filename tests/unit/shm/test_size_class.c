/* The size classes against the Go runtime's table, written out here so that neither the rule nor
 * its program is believed: sizes, pages, slots, alignment, checksums, every lookup, every division.
 */
#include "shm/size_class.h"

#include "support/cunit_main.h"

struct expected_class {
    uint32_t size;
    uint32_t span_bytes;
    uint32_t nslots;
    uint32_t align;
};

static const struct expected_class expected[GA_SIZE_CLASS_COUNT] = {
    {0, 0, 0, 0}, /* large */
    {8, 8192, 1024, 8},
    {16, 8192, 512, 16},
    {24, 8192, 341, 8},
    {32, 8192, 256, 32},
    {48, 8192, 170, 16},
    {64, 8192, 128, 64},
    {80, 8192, 102, 16},
    {96, 8192, 85, 32},
    {112, 8192, 73, 16},
    {128, 8192, 64, 128},
    {144, 8192, 56, 16},
    {160, 8192, 51, 32},
    {176, 8192, 46, 16},
    {192, 8192, 42, 64},
    {208, 8192, 39, 16},
    {224, 8192, 36, 32},
    {240, 8192, 34, 16},
    {256, 8192, 32, 256},
    {288, 8192, 28, 32},
    {320, 8192, 25, 64},
    {352, 8192, 23, 32},
    {384, 8192, 21, 128},
    {416, 8192, 19, 32},
    {448, 8192, 18, 64},
    {480, 8192, 17, 32},
    {512, 8192, 16, 512},
    {576, 8192, 14, 64},
    {640, 8192, 12, 128},
    {704, 8192, 11, 64},
    {768, 8192, 10, 256},
    {896, 8192, 9, 128},
    {1024, 8192, 8, 1024},
    {1152, 8192, 7, 128},
    {1280, 8192, 6, 256},
    {1408, 16384, 11, 128},
    {1536, 8192, 5, 512},
    {1792, 16384, 9, 256},
    {2048, 8192, 4, 2048},
    {2304, 16384, 7, 256},
    {2688, 8192, 3, 128},
    {3072, 24576, 8, 1024},
    {3200, 16384, 5, 128},
    {3456, 24576, 7, 128},
    {4096, 8192, 2, 4096},
    {4864, 24576, 5, 256},
    {5376, 16384, 3, 256},
    {6144, 24576, 4, 2048},
    {6528, 32768, 5, 128},
    {6784, 40960, 6, 128},
    {6912, 49152, 7, 256},
    {8192, 8192, 1, 8192},
    {9472, 57344, 6, 256},
    {9728, 49152, 5, 512},
    {10240, 40960, 4, 2048},
    {10880, 32768, 3, 128},
    {12288, 24576, 2, 4096},
    {13568, 40960, 3, 256},
    {14336, 57344, 4, 2048},
    {16384, 16384, 1, 8192},
    {18432, 73728, 4, 2048},
    {19072, 57344, 3, 128},
    {20480, 40960, 2, 4096},
    {21760, 65536, 3, 256},
    {24576, 24576, 1, 8192},
    {27264, 81920, 3, 128},
    {28672, 57344, 2, 4096},
    {32768, 32768, 1, 8192},
};

#define SUM_OF_SIZES  372768u
#define SUM_OF_PAGES  168u
#define SUM_OF_FINE   2972u
#define SUM_OF_COARSE 14342u

/* The smallest class for size, found without the lookup tables. */
static uint32_t search_class(size_t size, size_t alignment)
{
    for (uint32_t id = 1; id < GA_SIZE_CLASS_COUNT; id++)
        if (expected[id].size >= size && expected[id].align % alignment == 0)
            return id;
    return 0;
}

static void test_table(void)
{
    uint32_t sum_of_sizes = 0, sum_of_pages = 0;
    for (uint32_t id = 0; id < GA_SIZE_CLASS_COUNT; id++) {
        const struct ga_size_class *c = &ga_size_classes[id];
        CU_ASSERT_EQUAL(c->size, expected[id].size);
        CU_ASSERT_EQUAL(c->npages * GA_PAGE_SIZE, expected[id].span_bytes);
        CU_ASSERT_EQUAL(c->nslots, expected[id].nslots);
        CU_ASSERT_EQUAL(c->align, expected[id].align);
        sum_of_sizes += c->size;
        sum_of_pages += c->npages;
    }
    CU_ASSERT_EQUAL(sum_of_sizes, SUM_OF_SIZES);
    CU_ASSERT_EQUAL(sum_of_pages, SUM_OF_PAGES);
    CU_ASSERT_EQUAL(GA_SMALL_MAX, 32768);
}

static void test_lookup_tables(void)
{
    uint32_t sum_of_fine = 0, sum_of_coarse = 0;
    CU_ASSERT_EQUAL(sizeof ga_size_class_fine, 129);
    CU_ASSERT_EQUAL(sizeof ga_size_class_coarse, 249);
    for (size_t i = 0; i < sizeof ga_size_class_fine; i++)
        sum_of_fine += ga_size_class_fine[i];
    for (size_t i = 0; i < sizeof ga_size_class_coarse; i++)
        sum_of_coarse += ga_size_class_coarse[i];
    CU_ASSERT_EQUAL(sum_of_fine, SUM_OF_FINE);
    CU_ASSERT_EQUAL(sum_of_coarse, SUM_OF_COARSE);
}

static void test_class_of_every_size(void)
{
    size_t wrong = 0;
    CU_ASSERT_EQUAL(ga_size_class_of(0), 0);
    for (size_t size = 1; size <= GA_SMALL_MAX; size++)
        wrong += ga_size_class_of(size) != search_class(size, 1);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ga_size_class_of(24), 3);
    CU_ASSERT_EQUAL(ga_size_class_of(GA_SMALL_MAX), 67);
}

static void test_malloc_class_of_every_size(void)
{
    size_t wrong = 0;
    for (size_t size = 1; size <= GA_SMALL_MAX; size++)
        wrong += ga_size_class_for_malloc(size) != search_class(size, size >= 16 ? 16 : 1);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ga_size_class_for_malloc(0), 1);
    CU_ASSERT_EQUAL(ga_size_class_for_malloc(16), 2);
    for (size_t size = 17; size <= 32; size++)
        CU_ASSERT_EQUAL(ga_size_class_for_malloc(size), 4);
}

static void test_aligned_class_of_every_size(void)
{
    size_t wrong = 0;
    for (size_t alignment = 1; alignment <= GA_PAGE_SIZE; alignment *= 2)
        for (size_t size = 1; size <= GA_SMALL_MAX; size++)
            wrong += ga_size_class_aligned(size, alignment) != search_class(size, alignment);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ga_size_class_aligned(0, 1), 1);
    CU_ASSERT_EQUAL(ga_size_class_aligned(0, GA_PAGE_SIZE), 51);
    CU_ASSERT_EQUAL(ga_size_class_aligned(24, 8), 3);
    CU_ASSERT_EQUAL(ga_size_class_aligned(24, 16), 4);
    CU_ASSERT_EQUAL(ga_size_class_aligned(1, 2 * GA_PAGE_SIZE), 0);
    CU_ASSERT_EQUAL(ga_size_class_aligned(GA_SMALL_MAX, GA_PAGE_SIZE), 67);
    CU_ASSERT_EQUAL(ga_size_class_aligned(GA_SMALL_MAX + 1, 1), 0);
    CU_ASSERT_EQUAL(ga_size_class_aligned(SIZE_MAX, 1), 0);
}

/* Each slot lies on its class's alignment, and not all of them on the next power of two. */
static void test_alignment_of_every_slot(void)
{
    size_t wrong = 0;
    for (uint32_t id = 1; id < GA_SIZE_CLASS_COUNT; id++) {
        const struct ga_size_class *c = &ga_size_classes[id];
        for (uint32_t slot = 0; slot < c->nslots; slot++)
            wrong += slot * c->size % c->align != 0;
        if (c->align < GA_PAGE_SIZE)
            wrong += c->size % (2 * c->align) == 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_division_of_every_offset(void)
{
    for (uint32_t id = 1; id < GA_SIZE_CLASS_COUNT; id++) {
        const struct ga_size_class *c = &ga_size_classes[id];
        size_t wrong = 0, starts = 0;
        for (uint32_t offset = 0; offset <= c->npages * GA_PAGE_SIZE; offset++) {
            uint32_t index = ga_slot_index(c, offset);
            bool start = offset % c->size == 0 && offset / c->size < c->nslots;
            wrong += index != offset / c->size;
            wrong += ga_slot_is_start(c, offset, index) != start;
            starts += start;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(starts, c->nslots);
    }
}

static void test_words(void)
{
    CU_ASSERT_EQUAL(ga_size_class_nwords(&ga_size_classes[1]), 16);
    CU_ASSERT_EQUAL(ga_size_class_nwords(&ga_size_classes[3]), 6);
    CU_ASSERT_EQUAL(ga_size_class_nwords(&ga_size_classes[10]), 1);
    CU_ASSERT_EQUAL(ga_size_class_nwords(&ga_size_classes[67]), 1);
    for (uint32_t id = 1; id < GA_SIZE_CLASS_COUNT; id++) {
        uint32_t nwords = ga_size_class_nwords(&ga_size_classes[id]);
        CU_ASSERT(nwords <= GA_SPAN_WORDS);
        CU_ASSERT(nwords * 64 >= expected[id].nslots && (nwords - 1) * 64 < expected[id].nslots);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"the classes are Go's", test_table},
        {"the lookup tables have Go's sums", test_lookup_tables},
        {"the class of every size", test_class_of_every_size},
        {"malloc's class of every size", test_malloc_class_of_every_size},
        {"the class of every size and alignment", test_aligned_class_of_every_size},
        {"every slot is aligned", test_alignment_of_every_slot},
        {"every offset divides", test_division_of_every_offset},
        {"words of the bitmaps", test_words},
    };
    return ga_test_main("shm.size_class", tests, sizeof tests / sizeof tests[0]);
}
