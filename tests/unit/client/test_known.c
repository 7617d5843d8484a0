/* The pages that are known, by any address, and room for more of them. */
#include "client/known.h"

#include "support/cunit_main.h"

static struct ga_known known;
static struct ga_known_page few[GA_KNOWN_FEW];

#define MAGIC(span_class) ((uint32_t)(span_class)*1000)

static uint32_t class_of(uint64_t page)
{
    const struct ga_known_page *place = ga_known_look(&known, page);
    CU_ASSERT_EQUAL(place->magic, MAGIC(place->span_class));
    return place->span_class;
}

static uint32_t class_at(uintptr_t at)
{
    return class_of(ga_known_page(&known, at));
}

static void add(ga_page_id page, ga_span_class span_class)
{
    ga_known_add(&known, page, span_class, MAGIC(span_class));
}

/* Every address of a page, and none beside it. */
static void addresses(void)
{
    uintptr_t at = GA_WINDOW_LOW + 5 * GA_PAGE_SIZE;
    ga_known_init(&known, GA_WINDOW_LOW, few);
    CU_ASSERT_EQUAL(class_at(at), 0);
    add(5, 4);
    CU_ASSERT_EQUAL(class_at(at), 4);
    CU_ASSERT_EQUAL(class_at(at + GA_PAGE_SIZE - 1), 4);
    CU_ASSERT_EQUAL(class_at(at - 1), 0);
    CU_ASSERT_EQUAL(class_at(at + GA_PAGE_SIZE), 0);
    ga_known_remove(&known, 5);
    CU_ASSERT_EQUAL(class_at(at), 0);
    ga_known_fini(&known);
}

/* Whatever a program passes to free, in no heap or beyond what there is room for. */
static void no_page(void)
{
    ga_known_init(&known, GA_WINDOW_LOW, few);
    add(0, 6);
    for (unsigned bit = 0; bit < 64; bit++) {
        CU_ASSERT_EQUAL(class_at((uintptr_t)1 << bit), 0);
        CU_ASSERT(bit < GA_PAGE_SHIFT || class_at(GA_WINDOW_LOW ^ (uintptr_t)1 << bit) == 0);
    }
    CU_ASSERT_EQUAL(class_at(0), 0);
    CU_ASSERT_EQUAL(class_at(UINTPTR_MAX), 0);
    CU_ASSERT_EQUAL(class_at(GA_WINDOW_LOW), 6);
    ga_known_remove(&known, UINT32_MAX);
    ga_known_remove(&known, 0);
    ga_known_fini(&known);
}

/* What was known before stays known when there is room for more, up to the last page of all. */
static void room_for_more(void)
{
    static const ga_page_id pages[] = {GA_KNOWN_FEW - 1, GA_KNOWN_FEW, 70000, 70001,
                                       GA_RESERVE_MAX / GA_PAGE_SIZE - 1};
    ga_known_init(&known, GA_WINDOW_HIGH, few);
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        CU_ASSERT_EQUAL(class_of(pages[i]), 0);
        add(pages[i], (ga_span_class)(100 + i));
        for (unsigned j = 0; j <= i; j++)
            CU_ASSERT_EQUAL(class_of(pages[j]), 100 + j);
        CU_ASSERT_EQUAL(class_of(pages[i] - 2), 0);
    }
    ga_known_forget(&known);
    CU_ASSERT_EQUAL(class_of(pages[0]), 0);
    add(pages[0], 4); /* too late: it stays unknown */
    CU_ASSERT_EQUAL(class_of(pages[0]), 0);
    ga_known_fini(&known);
    few[GA_KNOWN_FEW - 1] = (struct ga_known_page){0};
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"addresses", addresses},
        {"no page", no_page},
        {"room for more", room_for_more},
    };
    return ga_test_main("client.known", tests, sizeof(tests) / sizeof(tests[0]));
}
