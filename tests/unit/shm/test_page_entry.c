/* A page table entry: each field at its limits, and none of them in another's bits. */
#include "shm/page_entry.h"

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const uint64_t all_flags[] = {GA_ENTRY_INUSE, GA_ENTRY_FIRST,    GA_ENTRY_LARGE,
                                     GA_ENTRY_TINY,  GA_ENTRY_NEEDZERO, GA_ENTRY_SCAVENGED};
static const ga_span_class classes[] = {0, 1, 2, 127, GA_SPAN_CLASS_COUNT - 1, 255};
static const uint64_t lengths[] = {
    0, 1, 4, GA_PAGES_PER_ARENA, GA_RESERVE_MAX / GA_PAGE_SIZE, GA_ENTRY_SPAN_MASK};
static const ga_mcache_id owners[] = {0, 1, GA_MCACHE_COUNT - 1, (1u << 20) - 1};

static void fields_come_back(void)
{
    uint64_t every_flag = 0;
    for (size_t i = 0; i < COUNT(all_flags); i++)
        every_flag |= all_flags[i];
    const uint64_t flags[] = {0, GA_ENTRY_FIRST, GA_ENTRY_INUSE, every_flag};
    for (size_t c = 0; c < COUNT(classes); c++)
        for (size_t l = 0; l < COUNT(lengths); l++)
            for (size_t o = 0; o < COUNT(owners); o++)
                for (size_t f = 0; f < COUNT(flags); f++) {
                    uint64_t entry = ga_entry_make(classes[c], lengths[l], owners[o], flags[f]);
                    CU_ASSERT_EQUAL(ga_entry_span_class(entry), classes[c]);
                    CU_ASSERT_EQUAL(ga_entry_npages(entry), lengths[l]);
                    CU_ASSERT_EQUAL(ga_entry_owner(entry), owners[o]);
                    CU_ASSERT_EQUAL(entry & every_flag, flags[f]);
                    CU_ASSERT_EQUAL(ga_entry_distance(entry),
                                    flags[f] & GA_ENTRY_FIRST ? 0 : lengths[l]);
                }
}

static void flags_are_distinct(void)
{
    /* All fields full leave every flag clear, and the flags are six different bits. */
    uint64_t full = ga_entry_make(255, GA_ENTRY_SPAN_MASK, (1u << 20) - 1, 0);
    uint64_t seen = full;
    for (size_t i = 0; i < COUNT(all_flags); i++) {
        CU_ASSERT_EQUAL(__builtin_popcountll(all_flags[i]), 1);
        CU_ASSERT_EQUAL(seen & all_flags[i], 0);
        seen |= all_flags[i];
    }
    CU_ASSERT_EQUAL(__builtin_popcountll(full), 54);
}

static void owner_changes_alone(void)
{
    uint64_t entry = ga_entry_make(255, GA_ENTRY_SPAN_MASK, 0xabcde, ~((UINT64_C(1) << 54) - 1));
    for (size_t o = 0; o < COUNT(owners); o++) {
        uint64_t changed = ga_entry_with_owner(entry, owners[o]);
        CU_ASSERT_EQUAL(ga_entry_owner(changed), owners[o]);
        CU_ASSERT_EQUAL(ga_entry_with_owner(changed, 0xabcde), entry);
        CU_ASSERT_EQUAL(ga_entry_span_class(changed), 255);
        CU_ASSERT_EQUAL(ga_entry_npages(changed), GA_ENTRY_SPAN_MASK);
        CU_ASSERT_EQUAL(changed >> 54, entry >> 54);
    }
}

static void what_is_a_span(void)
{
    CU_ASSERT_FALSE(ga_entry_is_span(0));
    CU_ASSERT_FALSE(ga_entry_is_span(ga_entry_make(4, 3, 7, GA_ENTRY_INUSE)));
    CU_ASSERT_FALSE(ga_entry_is_span(ga_entry_make(4, 3, 7, GA_ENTRY_FIRST)));
    CU_ASSERT(ga_entry_is_span(ga_entry_make(4, 3, 7, GA_ENTRY_FIRST | GA_ENTRY_INUSE)));
    CU_ASSERT(ga_entry_is_span(~UINT64_C(0)));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"fields come back", fields_come_back},
        {"flags are distinct", flags_are_distinct},
        {"the owner changes alone", owner_changes_alone},
        {"what is a span", what_is_a_span},
    };
    return ga_test_main("shm.page_entry", tests, COUNT(tests));
}
