/* Mistyped words, and what they probably were. */
#include <stdint.h>
#include <string.h>

#include "shm/nearest.h"
#include "support/cunit_main.h"

static void distances(void)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},           {"", "abc", 3},
        {"abc", "abc", 0},     {"abc", "ab", 1},
        {"abc", "abxc", 1},    {"abc", "axc", 1},
        {"abc", "acb", 1},     {"abc", "xyz", 3},
        {"abcd", "badc", 2},   {"kitten", "sitting", 3},
        {"spnas", "spans", 1}, {"snapshot", "snpashto", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(ga_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        CU_ASSERT_EQUAL(ga_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void long_words(void)
{
    char longest[GA_NEAREST_MAX + 1] = "";
    char longer[GA_NEAREST_MAX + 2] = "";
    memset(longest, 'a', GA_NEAREST_MAX);
    memset(longer, 'a', GA_NEAREST_MAX + 1);
    CU_ASSERT_EQUAL(ga_edit_distance(longest, ""), GA_NEAREST_MAX);
    CU_ASSERT_EQUAL(ga_edit_distance(longest, longer), SIZE_MAX);
    CU_ASSERT_EQUAL(ga_edit_distance(longer, longest), SIZE_MAX);
}

static const char *nearest(const char *word)
{
    static const char *const known[] = {"status", "stats", "spans", "snapshot", "gc", "destroy"};
    struct ga_nearest nearest = {.word = word};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        ga_nearest_try(&nearest, known[i]);
    return nearest.best ? nearest.best : "";
}

static void suggestions(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("satus"), "status");
    CU_ASSERT_STRING_EQUAL(nearest("statu"), "status"); /* and not stats, as near and later */
    CU_ASSERT_STRING_EQUAL(nearest("stast"), "stats");
    CU_ASSERT_STRING_EQUAL(nearest("sanp"), "spans");
    CU_ASSERT_STRING_EQUAL(nearest("snap"), "snapshot"); /* its beginning */
    CU_ASSERT_STRING_EQUAL(nearest("destory"), "destroy");
    CU_ASSERT_STRING_EQUAL(nearest("g"), "");
    CU_ASSERT_STRING_EQUAL(nearest("cg"), "gc");
    CU_ASSERT_STRING_EQUAL(nearest("xy"), "");
    CU_ASSERT_STRING_EQUAL(nearest(""), "");
    CU_ASSERT_STRING_EQUAL(nearest("collect"), "");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"distances", distances},
        {"long words", long_words},
        {"suggestions", suggestions},
    };
    return ga_test_main("unit.shm.nearest", tests, sizeof(tests) / sizeof(tests[0]));
}
