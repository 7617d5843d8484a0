/* Counts by duration: each lands where a quantile finds it again, no more than a quarter too long.
 */
#include "proto/latency.h"

#include <string.h>

#include "support/cunit_main.h"

static void test_each_duration(void)
{
    for (uint64_t ns = 1024; ns < UINT64_C(3600) * 1000000000; ns += ns / 7) {
        struct ga_latency latency = {{0}};
        ga_latency_add(&latency, ns);
        uint64_t found = ga_latency_quantile(&latency, 0.5);
        CU_ASSERT(found > ns);
        CU_ASSERT(found <= ns + ns / 4);
    }
}

static void test_ends(void)
{
    struct ga_latency latency = {{0}};
    CU_ASSERT_EQUAL(ga_latency_quantile(&latency, 0.99), 0);
    CU_ASSERT_EQUAL(ga_latency_total(&latency), 0);
    ga_latency_add(&latency, 0);
    CU_ASSERT_EQUAL(ga_latency_quantile(&latency, 1), 1024);
    ga_latency_add(&latency, UINT64_MAX);
    CU_ASSERT_EQUAL(ga_latency_total(&latency), 2);
    CU_ASSERT(ga_latency_quantile(&latency, 1) > UINT64_C(3600) * 1000000000);
}

static void test_quantiles(void)
{
    struct ga_latency latency = {{0}};
    for (unsigned i = 0; i < 99; i++)
        ga_latency_add(&latency, 10000);
    ga_latency_add(&latency, 1000000);
    CU_ASSERT_EQUAL(ga_latency_quantile(&latency, 0.5), 10240);
    CU_ASSERT_EQUAL(ga_latency_quantile(&latency, 0.99), 10240);
    CU_ASSERT(ga_latency_quantile(&latency, 0.995) > 1000000);
    struct ga_latency fewer = ga_latency_of(latency.count, 20);
    CU_ASSERT_EQUAL(ga_latency_total(&fewer), 99);
    struct ga_latency same = ga_latency_of(latency.count, GA_LATENCY_COUNTS + 5);
    CU_ASSERT_EQUAL(ga_latency_total(&same), 100);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"each duration", test_each_duration},
        {"the ends", test_ends},
        {"quantiles", test_quantiles},
    };
    return ga_test_main("proto.latency", tests, sizeof tests / sizeof tests[0]);
}
