/* The arithmetic of sampling: what samples stand for, by Go's vectors; distances whose mean is the
 * rate and whose chance to be long falls as it should; and that objects that are sampled so, of any
 * size, give an estimate that is right. */
#include "shm/sampling.h"

#include <math.h>
#include <stdio.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RATE     524288u

/* Derived from those of Go's runtime/pprof tests (BSD-3-Clause, The Go Authors). */
static void as_go_scales(void)
{
    static const struct {
        uint64_t count, bytes, scaled_count, scaled_bytes;
    } vectors[] = {{4, 4096, 2050, 2099200}, {3, 3072, 1537, 1574400}, {1, 524288, 1, 829411}};
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint64_t size = vectors[i].bytes / vectors[i].count;
        double scale = ga_sampling_scale(size, RATE);
        CU_ASSERT_EQUAL((uint64_t)((double)vectors[i].count * scale), vectors[i].scaled_count);
        CU_ASSERT_EQUAL((uint64_t)((double)vectors[i].bytes * scale), vectors[i].scaled_bytes);
    }
    CU_ASSERT_EQUAL(ga_sampling_scale(100, 1), 1);
    CU_ASSERT_EQUAL(ga_sampling_scale(100, 0), 1);
    CU_ASSERT_EQUAL(ga_sampling_scale(0, RATE), 1);
}

/* Against the exact function, over all sizes. */
static void scale_is_exact(void)
{
    for (uint64_t rate = 2; rate < UINT64_C(1) << 40; rate *= 7)
        for (uint64_t size = 1; size < UINT64_C(1) << 40; size = size * 3 + 1) {
            double exact = 1 / -expm1(-(double)size / (double)rate);
            CU_ASSERT_DOUBLE_EQUAL(ga_sampling_scale(size, rate) / exact, 1, 1e-9);
        }
}

static void distances(void)
{
    uint64_t state = 42;
    double sum = 0;
    unsigned beyond[4] = {0};
    const unsigned n = 400000;
    for (unsigned i = 0; i < n; i++) {
        double d = ga_sampling_distance(ga_random_next(&state), RATE);
        CU_ASSERT_FATAL(d >= 0);
        sum += d;
        for (unsigned k = 0; k < 4; k++)
            beyond[k] += d > (k + 1) * (double)RATE;
    }
    CU_ASSERT_DOUBLE_EQUAL(sum / n / RATE, 1, 0.01);
    for (unsigned k = 0; k < 4; k++)
        CU_ASSERT_DOUBLE_EQUAL(beyond[k] / (double)n, exp(-(k + 1.0)), 0.003);
    /* The ends of what a random number may be. */
    CU_ASSERT_DOUBLE_EQUAL(ga_sampling_distance(UINT64_MAX, RATE), 0, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(ga_sampling_distance(0, RATE), 53 * log(2) * RATE, 1);
    CU_ASSERT_EQUAL(ga_sampling_distance(12345, 1), 0);
    CU_ASSERT_EQUAL(ga_sampling_distance(12345, 0), 0);
}

/* Each by itself, against the logarithm; and the numbers are those that splitmix64 has. */
static void distances_are_exact(void)
{
    uint64_t state = 0;
    CU_ASSERT_EQUAL(ga_random_next(&state), UINT64_C(0xE220A8397B1DCDAF));
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t random = ga_random_next(&state);
        double exact = -log(((double)(random >> 11) + 1) / 9007199254740992.0) * RATE;
        CU_ASSERT_DOUBLE_EQUAL(ga_sampling_distance(random, RATE), exact, 1e-3);
    }
}

/* Of a million objects of a size, those that the end of a distance falls into are sampled. */
static void estimates(void)
{
    static const uint64_t sizes[] = {8, 64, 3072, 32768, 200000, 3000000};
    uint64_t state = 7;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        uint64_t rate = 16384;
        uint64_t objects = (UINT64_C(400) << 20) / sizes[s];
        uint64_t sampled = 0;
        for (uint64_t i = 0; i < objects; sampled++, i++) {
            double skipped = ga_sampling_distance(ga_random_next(&state), rate) / (double)sizes[s];
            if (skipped >= (double)(objects - i))
                break;
            i += (uint64_t)skipped;
        }
        double estimate = (double)sampled * ga_sampling_scale(sizes[s], rate);
        CU_ASSERT_DOUBLE_EQUAL(estimate / (double)objects, 1, 0.03);
        printf("size %7llu: %8llu objects, estimated %.0f\n", (unsigned long long)sizes[s],
               (unsigned long long)objects, estimate);
    }
}

/* A sum of rounded numbers is that of the numbers, whatever their fraction; a whole one stays. */
static void rounded(void)
{
    uint64_t state = 3;
    for (double x = 1; x < 2; x += 0.1) {
        double sum = 0;
        for (unsigned i = 0; i < 100000; i++)
            sum += (double)ga_sampling_round(x, &state);
        CU_ASSERT_DOUBLE_EQUAL(sum / 100000 / x, 1, 0.01);
    }
    CU_ASSERT_EQUAL(ga_sampling_round(0, &state), 0);
    CU_ASSERT_EQUAL(ga_sampling_round(7, &state), 7);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"as Go scales", as_go_scales}, {"the scale is exact", scale_is_exact},
        {"distances", distances},       {"distances are exact", distances_are_exact},
        {"estimates", estimates},       {"rounded", rounded},
    };
    return ga_test_main("shm.sampling", tests, COUNT(tests));
}
