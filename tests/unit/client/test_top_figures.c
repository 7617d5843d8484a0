/* What goallocctl top reckons: rates of two looks, rows that are sorted and filtered. */
#include "client/ctl/top_figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/layout.h"
#include "support/cunit_main.h"

static struct ga_top_client clients[3] = {
    {.client = 1, .pid = 30, .name = "beta", .state = "", .leased_bytes = 3 << 20, .mallocs = 100},
    {.client = 2, .pid = 10, .name = "Alpha", .state = "paused", .leased_bytes = 1 << 20},
    {.client = 3, .pid = 20, .name = "gamma", .state = "", .leased_bytes = 2 << 20},
};

static struct ga_top_sample look(uint64_t time_ns)
{
    return (struct ga_top_sample){.time_ns = time_ns,
                                  .server_pid = 7,
                                  .base = 0x550000000000,
                                  .inuse_bytes = 6 << 20,
                                  .clients = clients,
                                  .nclients = 3};
}

static void test_rates(void)
{
    struct ga_top_sample before = look(1000000000);
    struct ga_top_sample now = look(3000000000);
    struct ga_top_rates rates;
    before.mallocs = 1000;
    now.mallocs = 5000;
    before.frees = 10; /* counted by others in the middle of it: never less than nothing */
    now.frees = 9;
    now.cpu_ns = 500000000;
    now.lease_requests = 20;
    for (unsigned i = 0; i < 100; i++)
        ga_latency_add(&before.served, 1000000);
    now.served = before.served;
    for (unsigned i = 0; i < 10; i++)
        ga_latency_add(&now.served, 10000);
    ga_top_get_rates(&before, &now, &rates);
    CU_ASSERT_EQUAL(rates.mallocs, 2000);
    CU_ASSERT_EQUAL(rates.frees, 0);
    CU_ASSERT_EQUAL(rates.cpu_share, 0.25);
    CU_ASSERT_EQUAL(rates.lease_requests, 10);
    CU_ASSERT_EQUAL(rates.served_p99, 10240); /* what was before does not count */
    CU_ASSERT_EQUAL(rates.waited_p50, 0);

    ga_top_get_rates(NULL, &now, &rates);
    CU_ASSERT_EQUAL(rates.mallocs, 0);
    before.server_pid = 8; /* another server, which has counted other things */
    ga_top_get_rates(&before, &now, &rates);
    CU_ASSERT_EQUAL(rates.mallocs, 0);
    CU_ASSERT_EQUAL(rates.served_p99, 0);
}

/* The cells of a column, one after the other. */
static void expect(enum ga_top_view view, const struct ga_top_sample *now, const char *filter,
                   size_t column, bool downwards, size_t shown, const char *expected)
{
    struct ga_top_row *rows;
    size_t n;
    char all[256] = "";
    CU_ASSERT_EQUAL_FATAL(ga_top_make_rows(view, NULL, now, filter, column, downwards, &rows, &n),
                          0);
    for (size_t i = 0; i < n; i++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "",
                 rows[i].cell[shown]);
    free(rows);
    CU_ASSERT_STRING_EQUAL(all, expected);
}

static void test_processes(void)
{
    struct ga_top_sample now = look(1);
    enum { PID, NAME, LEASED, SHARE, STATE = 11 };
    CU_ASSERT_EQUAL(ga_top_first_column(GA_TOP_PROCESSES), LEASED);
    expect(GA_TOP_PROCESSES, &now, NULL, LEASED, true, PID, "30 20 10");
    expect(GA_TOP_PROCESSES, &now, NULL, LEASED, false, PID, "10 20 30");
    expect(GA_TOP_PROCESSES, &now, NULL, NAME, false, NAME, "Alpha beta gamma");
    expect(GA_TOP_PROCESSES, &now, "", STATE, true, PID, "10 20 30"); /* then by the first */
    expect(GA_TOP_PROCESSES, &now, "ALP", LEASED, true, NAME, "Alpha");
    expect(GA_TOP_PROCESSES, &now, "a", LEASED, true, NAME, "beta gamma Alpha");
    expect(GA_TOP_PROCESSES, &now, "PAUSED", LEASED, true, NAME, "Alpha");
    expect(GA_TOP_PROCESSES, &now, "nobody", LEASED, true, NAME, "");
    expect(GA_TOP_PROCESSES, &now, NULL, LEASED, true, SHARE, "50.0% 33.3% 16.7%");
}

static void test_classes(void)
{
    enum { CLASS, SIZE, SPANS, HELD, USED, USE, WASTE };
    struct ga_top_sample now = look(1);
    uint32_t c = 5;
    uint64_t span = ga_size_classes[c].npages * GA_PAGE_SIZE;
    now.classes[c] = (struct ga_top_class){.spans = 4, .mallocs = 1, .alloc_bytes = span};
    now.classes[0] = (struct ga_top_class){.spans = 1, .mallocs = 1, .alloc_bytes = 1 << 20};
    now.classes[7] = (struct ga_top_class){.mallocs = 3, .frees = 3};
    expect(GA_TOP_CLASSES, &now, NULL, WASTE, true, CLASS, "5 7 large");
    expect(GA_TOP_CLASSES, &now, NULL, CLASS, false, CLASS, "5 7 large");
    expect(GA_TOP_CLASSES, &now, NULL, CLASS, false, USE, "25.0% - 100.0%");
    expect(GA_TOP_CLASSES, &now, "large", CLASS, false, WASTE, "0 B");
}

static void test_arenas(void)
{
    enum { ARENA, ADDRESS, STATE };
    struct ga_top_arena arenas[2] = {{.index = 0, .count = 1, .state = 2, .ready_npages = 8},
                                     {.index = 1, .count = 3, .state = 0}};
    struct ga_top_sample now = look(1);
    now.arenas = arenas;
    now.narenas = 2;
    expect(GA_TOP_ARENAS, &now, NULL, ARENA, false, ARENA, "0 1+2");
    expect(GA_TOP_ARENAS, &now, NULL, ARENA, false, ADDRESS, "0x550000000000 0x550004000000");
    expect(GA_TOP_ARENAS, &now, NULL, ARENA, true, STATE, "reserved ready");
}

static void expect_rate(double rate, const char *expected)
{
    char text[GA_TOP_CELL_BYTES];
    ga_top_rate_text(rate, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void expect_time(uint64_t ns, const char *expected)
{
    char text[GA_TOP_CELL_BYTES];
    ga_top_time_text(ns, text);
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_texts(void)
{
    expect_rate(0, "0");
    expect_rate(0.3, "0.3");
    expect_rate(0.97, "1");
    expect_rate(12.4, "12");
    expect_rate(999.4, "999");
    expect_rate(999.6, "1.0K");
    expect_rate(34200, "34K");
    expect_rate(5.61e6, "5.6M");
    expect_rate(7e12, "7000G");
    expect_time(0, "-");
    expect_time(12400, "12 us");
    expect_time(3400000, "3.4 ms");
    expect_time(340000000, "340 ms");
    expect_time(1200000000, "1.2 s");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"rates", test_rates},   {"processes", test_processes}, {"classes", test_classes},
        {"arenas", test_arenas}, {"texts", test_texts},
    };
    return ga_test_main("client.top_figures", tests, sizeof tests / sizeof tests[0]);
}
