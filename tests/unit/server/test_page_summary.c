/* Packing and merging summaries: the special word of a whole root, and merges of random children
 * against a count over the pages themselves. */
#include <stdbool.h>

#include "support/cunit_main.h"

#include "server/page_summary.h"

#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define CHILD_NPAGES 12u
#define ALL_NPAGES   (CHILD_NPAGES * GA_PAGE_SUMMARY_FANOUT)
#define MERGES       20000u

/* The summary of n pages, given which of them are free. */
static ga_page_summary model(const bool *is_free, unsigned n)
{
    unsigned start = 0;
    unsigned max = 0;
    unsigned run = 0;
    for (unsigned i = 0; i < n; i++) {
        run = is_free[i] ? run + 1 : 0;
        if (run > max)
            max = run;
        if (run == i + 1)
            start = run;
    }
    return ga_page_summary_pack(start, max, run);
}

static void check_fields(ga_page_summary sum, uint64_t start, uint64_t max, uint64_t end)
{
    CU_ASSERT_EQUAL(ga_page_summary_start(sum), start);
    CU_ASSERT_EQUAL(ga_page_summary_max(sum), max);
    CU_ASSERT_EQUAL(ga_page_summary_end(sum), end);
}

static void pack(void)
{
    uint64_t whole = GA_PAGE_SUMMARY_MAX_NPAGES;
    check_fields(ga_page_summary_pack(0, 0, 0), 0, 0, 0);
    check_fields(ga_page_summary_pack(1, 5, 2), 1, 5, 2);
    check_fields(ga_page_summary_pack(0, whole - 1, whole - 1), 0, whole - 1, whole - 1);
    check_fields(ga_page_summary_pack(whole - 1, whole - 1, 0), whole - 1, whole - 1, 0);
    check_fields(ga_page_summary_all_free(512), 512, 512, 512);
    check_fields(ga_page_summary_all_free(whole), whole, whole, whole);
    CU_ASSERT_EQUAL(ga_page_summary_pack(0, 0, 0), 0);
}

static void merge_into_root(void)
{
    uint64_t child_npages = GA_PAGE_SUMMARY_MAX_NPAGES / GA_PAGE_SUMMARY_FANOUT;
    ga_page_summary child[GA_PAGE_SUMMARY_FANOUT];
    for (unsigned i = 0; i < GA_PAGE_SUMMARY_FANOUT; i++)
        child[i] = ga_page_summary_all_free(child_npages);
    uint64_t whole = GA_PAGE_SUMMARY_MAX_NPAGES;
    check_fields(ga_page_summary_merge(child, child_npages), whole, whole, whole);

    /* All free but the last page, then but the first. */
    child[7] = ga_page_summary_pack(child_npages - 1, child_npages - 1, 0);
    check_fields(ga_page_summary_merge(child, child_npages), whole - 1, whole - 1, 0);
    child[7] = ga_page_summary_all_free(child_npages);
    child[0] = ga_page_summary_pack(0, child_npages - 1, child_npages - 1);
    check_fields(ga_page_summary_merge(child, child_npages), 0, whole - 1, whole - 1);
}

static void random_merges(void)
{
    uint64_t random = ga_test_seed();
    for (unsigned m = 0; m < MERGES; m++) {
        bool is_free[ALL_NPAGES];
        uint64_t longest = UINT64_C(1) << ga_test_random(&random) % 7;
        uint64_t left = 0;
        bool value = false;
        for (unsigned i = 0; i < ALL_NPAGES; i++) {
            if (left == 0) {
                value = !value;
                left = 1 + ga_test_random(&random) % longest;
            }
            left--;
            is_free[i] = value;
        }
        ga_page_summary child[GA_PAGE_SUMMARY_FANOUT];
        for (unsigned i = 0; i < GA_PAGE_SUMMARY_FANOUT; i++)
            child[i] = model(&is_free[i * CHILD_NPAGES], CHILD_NPAGES);
        CU_ASSERT_EQUAL(ga_page_summary_merge(child, CHILD_NPAGES), model(is_free, ALL_NPAGES));
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"pack", pack},
        {"merge into a root", merge_into_root},
        {"random merges", random_merges},
    };
    return ga_test_main("server.page_summary", tests, COUNT(tests));
}
