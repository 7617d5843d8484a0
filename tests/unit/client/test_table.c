/* Tables as they are printed, to the letter: alignment, narrow terminals, text that must not reach
 * a terminal as it is; and the numbers in them as people read them. */
#include "client/ctl/table.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/units.h"
#include "support/cunit_main.h"

static const struct ga_table_column columns[] = {
    {.title = "NAME", .align = GA_TABLE_LEFT, .min_columns = 5},
    {.title = "N", .align = GA_TABLE_RIGHT},
    {.title = "KIND", .align = GA_TABLE_LEFT, .min_columns = 4},
};

/* Print table at width, compare, and free it. */
static void check_table(struct ga_table *table, size_t width, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(ga_table_print(table, out, width), 0);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text, expected);
    if (strcmp(text, expected) != 0)
        printf("\nprinted:\n%s\nexpected:\n%s\n", text, expected);
    free(text);
    ga_table_free(table);
}

static struct ga_table *sample(void)
{
    struct ga_table *table = ga_table_new(columns, 3);
    ga_table_cell(table, "%s", "a");
    ga_table_number(table, 1234);
    ga_table_cell(table, "scan");
    ga_table_cell(table, "a longer %s", "name");
    ga_table_number(table, 7);
    ga_table_cell(table, "noscan");
    return table;
}

static void test_alignment(void)
{
    static const char expected[] = "NAME              N  KIND\n"
                                   "a              1234  scan\n"
                                   "a longer name     7  noscan\n";
    check_table(sample(), 0, expected);
    check_table(sample(), 27, expected);
    check_table(ga_table_new(columns, 3), 0, "NAME  N  KIND\n");
}

static void test_no_blanks_at_line_ends(void)
{
    struct ga_table *table = ga_table_new(columns, 3);
    ga_table_cell(table, "a");
    ga_table_number(table, 1);
    ga_table_cell(table, "%s", "");
    ga_table_cell(table, "b");
    ga_table_number(table, 2);
    ga_table_cell(table, "noscan");
    check_table(table, 0,
                "NAME  N  KIND\n"
                "a     1  \n"
                "b     2  noscan\n");
}

static void test_narrow(void)
{
    check_table(sample(), 26,
                "NAME             N KIND\n"
                "a             1234 scan\n"
                "a longer name    7 noscan\n");
    check_table(sample(), 24,
                "NAME            N KIND\n"
                "a            1234 scan\n"
                "a longer ...    7 noscan\n");
    check_table(sample(), 16,
                "NAME     N KIND\n"
                "a     1234 scan\n"
                "a ...    7 no...\n");
    check_table(sample(), 18,
                "NAME      N KIND\n"
                "a      1234 scan\n"
                "a l...    7 noscan\n");
    /* Numbers and what must not be cut stay whole, whatever the width. */
    check_table(sample(), 3,
                "NAME     N KIND\n"
                "a     1234 scan\n"
                "a ...    7 n...\n");
}

static void test_no_header(void)
{
    static const struct ga_table_column card[] = {{.align = GA_TABLE_LEFT},
                                                  {.align = GA_TABLE_LEFT}};
    struct ga_table *table = ga_table_new(card, 2);
    ga_table_cell(table, "heap");
    ga_table_cell(table, "main");
    ga_table_cell(table, "committed");
    ga_table_size(table, 1536);
    check_table(table, 0,
                "heap       main\n"
                "committed  1.5 KiB\n");
}

static void test_hostile_text(void)
{
    struct ga_table *table = ga_table_new(columns, 3);
    ga_table_cell(table, "%s", "a\x1b[2Jb\n\xff");
    ga_table_number(table, 1);
    ga_table_cell(table, "%s", "\xc2\x9b");
    check_table(table, 0,
                "NAME               N  KIND\n"
                "a\\x1b[2Jb\\x0a\\xff  1  \\xc2\\x9b\n");
}

static void test_wide_characters(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(setlocale(LC_CTYPE, "C.UTF-8"));
    struct ga_table *table = ga_table_new(columns, 3);
    ga_table_cell(table, "%s", "größe");
    ga_table_number(table, 1);
    ga_table_cell(table, "%s", "日本");
    ga_table_cell(table, "%s", "size");
    ga_table_number(table, 2);
    ga_table_cell(table, "%s", "x");
    check_table(table, 0,
                "NAME   N  KIND\n"
                "größe  1  日本\n"
                "size   2  x\n");

    table = ga_table_new(columns, 3);
    ga_table_cell(table, "%s", "日本日本日本");
    ga_table_number(table, 1);
    ga_table_cell(table, "x");
    check_table(table, 14,
                "NAME    N KIND\n"
                "日本... 1 x\n");
    setlocale(LC_CTYPE, "C");
}

static void test_many_rows(void)
{
    struct ga_table *table = ga_table_new(columns, 3);
    for (unsigned i = 0; i < 1000; i++) {
        ga_table_cell(table, "row");
        ga_table_number(table, i);
        ga_table_cell(table, "k");
    }
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(ga_table_print(table, out, 0), 0);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nrow     0  k\nrow     1  k\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nrow   999  k\n"));
    free(text);
    ga_table_free(table);
}

static void test_without_memory(void)
{
    ga_table_cell(NULL, "a");
    CU_ASSERT_EQUAL(ga_table_print(NULL, stdout, 0), -ENOMEM);
    ga_table_free(NULL);
}

static void check_size(uint64_t bytes, const char *expected)
{
    char text[GA_UNITS_BYTES];
    ga_units_size(bytes, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_sizes(void)
{
    check_size(0, "0 B");
    check_size(1023, "1023 B");
    check_size(1024, "1 KiB");
    check_size(1536, "1.5 KiB");
    check_size(1075, "1 KiB"); /* 1.0498 */
    check_size(1076, "1.1 KiB");
    check_size(102348, "99.9 KiB");
    check_size(102399, "100 KiB");
    check_size(102911, "100 KiB");
    check_size(102912, "101 KiB"); /* 100.5 */
    check_size(1048575, "1 MiB");  /* carries into the next unit */
    check_size(UINT64_C(64) << 30, "64 GiB");
    check_size((UINT64_C(64) << 40) - 1, "64 TiB");
    check_size(UINT64_MAX, "16 EiB");
}

static void check_duration(uint64_t ms, const char *expected)
{
    char text[GA_UNITS_BYTES];
    ga_units_duration(ms, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_durations(void)
{
    check_duration(0, "0.0 s");
    check_duration(499, "0.4 s");
    check_duration(9999, "9.9 s");
    check_duration(10000, "10 s");
    check_duration(59999, "59 s");
    check_duration(60000, "1m 00s");
    check_duration(3599999, "59m 59s");
    check_duration(3600000, "1h 00m");
    check_duration(86399999, "23h 59m");
    check_duration(86400000, "1d 00h");
    check_duration(UINT64_C(400) * 86400000 + 4 * 3600000, "400d 04h");
}

static void check_share(uint64_t part, uint64_t whole, const char *expected)
{
    char text[GA_UNITS_BYTES];
    ga_units_share(part, whole, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_shares(void)
{
    check_share(0, 0, "-");
    check_share(1, 0, "-");
    check_share(0, 10, "0.0%");
    check_share(1, 8, "12.5%");
    check_share(2, 3, "66.7%");
    check_share(1, 3000, "<0.1%");
    check_share(3, 2, "150.0%");
    check_share(UINT64_MAX, UINT64_MAX, "100.0%");
    check_share(UINT64_MAX / 4, UINT64_MAX, "25.0%");
    check_share(1, UINT64_MAX, "<0.1%");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"numbers stand right, words left, below their titles", test_alignment},
        {"an empty last cell is not filled up", test_no_blanks_at_line_ends},
        {"narrow: gaps shrink first, then what may; numbers are never cut", test_narrow},
        {"columns without titles make no header", test_no_header},
        {"control bytes are shown, not obeyed", test_hostile_text},
        {"characters of several bytes and of two columns are aligned", test_wide_characters},
        {"a table grows", test_many_rows},
        {"a table for which there was no memory says so when printed", test_without_memory},
        {"sizes", test_sizes},
        {"durations", test_durations},
        {"shares", test_shares},
    };
    return ga_test_main("client.table", tests, sizeof(tests) / sizeof(tests[0]));
}
