/* The classes of a thread's cache: none is made before it is needed, which one malloc finds for a
 * size, and where they lie. */
#include "client/class_cache.h"

#include <sys/mman.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct ga_thread_cache *cache;
static struct ga_mcache shared;

static void begin(void)
{
    cache = mmap(NULL, sizeof(*cache), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(cache, MAP_FAILED);
    cache->id = 7;
    cache->shared = &shared;
    ga_class_cache_init_all(cache);
}

static void end(void)
{
    ga_class_cache_fini_all(cache);
    munmap(cache, sizeof(*cache));
}

/* How many OS pages of the cache were touched. */
static uint32_t count_touched(void)
{
    unsigned char there[sizeof(*cache) / GA_OS_PAGE_SIZE];
    uint32_t count = 0;
    CU_ASSERT_EQUAL_FATAL(mincore(cache, sizeof(*cache), there), 0);
    for (size_t i = 0; i < COUNT(there); i++)
        count += there[i] & 1;
    return count;
}

/* Of none that is not made can anything be taken, nor is it found. */
static void none_is_made(void)
{
    begin();
    for (uint32_t i = 0; i < GA_FINE_SIZES; i++) {
        void *p;
        CU_ASSERT_FALSE(ga_free_list_take_top(cache->by_size[i], &p));
        CU_ASSERT_EQUAL(cache->by_size[i]->holder, GA_NOBODY);
    }
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++)
        CU_ASSERT_PTR_NULL(ga_class_cache_peek(cache, (ga_span_class)c));
    end();
}

/* What malloc finds for a size is the list of its class, from when that is made, for all of them
 * whatever the order. */
static void which_sizes(void)
{
    for (uint32_t first = 0; first < GA_SPAN_CLASS_COUNT; first += 33) {
        begin();
        for (uint32_t i = 0; i < GA_SPAN_CLASS_COUNT; i++) {
            ga_span_class c = (ga_span_class)((first + i * 5) % GA_SPAN_CLASS_COUNT);
            struct ga_class_cache *class = ga_class_cache_get(cache, c);
            CU_ASSERT_PTR_EQUAL(ga_class_cache_peek(cache, c), class);
            CU_ASSERT_PTR_EQUAL(ga_class_cache_get(cache, c), class);
            CU_ASSERT_EQUAL(cache->by_class[c]->span_class, c);
            CU_ASSERT_PTR_EQUAL(cache->by_class[c]->counts, &shared.classes[c]);
            for (uint32_t size = 0; size < GA_FINE_SIZES; size++) {
                uint32_t of = ga_size_class_fine_malloc[size] * 2u;
                bool is_made = ga_class_cache_peek(cache, (ga_span_class)of) != NULL;
                const struct ga_free_list *list = is_made ? cache->by_class[of] : &cache->unmade;
                CU_ASSERT_PTR_EQUAL(cache->by_size[size], list);
            }
        }
        end();
    }
}

static bool has_list(uint32_t span_class)
{
    return span_class >= 2 && span_class != GA_SPAN_CLASS_TINY;
}

/* What one has is not another's: each list has all the slots it has room for. */
static void none_overlaps(void)
{
    begin();
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_get(cache, (ga_span_class)c);
        class->page = c + 1;
        while (has_list(c) && ga_free_list_put(class->list, (struct ga_free_slot){.bit = c + 1}))
            continue;
    }
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        const struct ga_free_list *list = cache->by_class[c];
        CU_ASSERT_EQUAL(list->class->page, c + 1);
        CU_ASSERT_EQUAL(list->top - list->slot, has_list(c) ? (int)GA_FREE_LIST_FIRST_SLOTS : 0);
        for (const struct ga_free_slot *slot = list->top; slot != list->slot; slot--)
            CU_ASSERT_EQUAL(slot->bit, c + 1);
    }
    end();
}

/* A small program has a class of each size up to a KiB or so. */
static void few_pages(void)
{
    begin();
    for (size_t size = 8; size <= 1024; size += size / 2)
        (void)ga_class_cache_get(cache, (ga_span_class)(ga_size_class_for_malloc(size) * 2));
    CU_ASSERT(count_touched() <= 4);
    end();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"none is made", none_is_made},
        {"which sizes", which_sizes},
        {"none overlaps", none_overlaps},
        {"few pages", few_pages},
    };
    return ga_test_main("client.class_cache", tests, COUNT(tests));
}
