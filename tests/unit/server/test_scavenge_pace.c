/* The pace with a clock of the test's own: work of a share of one core, whatever a unit of work
 * takes and however late the sleeper wakes up; and a controller that never goes astray. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/cunit_main.h"

#include "server/scavenge_pace.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define MIB      (UINT64_C(1) << 20)
#define BATCH    (4 * MIB)

struct run {
    double share; /* of the time, that was spent on work */
    double seconds;
};

/* Give back surplus bytes, at ns_per_kib, in batches; each sleep is late_ns longer. */
static struct run give_back(uint64_t surplus, uint64_t ns_per_kib, uint64_t late_ns)
{
    struct ga_scavenge_pace pace;
    ga_scavenge_pace_init(&pace);
    ga_scavenge_pace_begin(&pace);
    double worked_ns = 0;
    double all_ns = 0;
    uint64_t slept = 0;
    while (surplus > 0) {
        uint64_t n = surplus < BATCH ? surplus : BATCH;
        uint64_t worked = n / 1024 * ns_per_kib;
        surplus -= n;
        uint64_t sleep = ga_scavenge_pace_next(&pace, worked, slept, n, surplus);
        slept = sleep + late_ns;
        worked_ns += (double)worked;
        all_ns += (double)worked + (double)slept;
    }
    return (struct run){.share = worked_ns / all_ns, .seconds = all_ns / 1e9};
}

/* Go's test: a hundredth, within a half of it. */
static void hundredth(void)
{
    static const uint64_t ns_per_kib[] = {20, 200, 1000};
    static const uint64_t late_ns[] = {0, 100000, 1000000, 10000000};
    for (size_t i = 0; i < COUNT(ns_per_kib); i++)
        for (size_t k = 0; k < COUNT(late_ns); k++) {
            /* No more than is gone in five seconds at that share, but much more than a batch. */
            uint64_t surplus = 50000000 / ns_per_kib[i] * 1024;
            struct run run = give_back(surplus, ns_per_kib[i], late_ns[k]);
            if (run.share < 0.005 || run.share > 0.015)
                printf("%llu ns/KiB, %llu ns late: %.4f\n", (unsigned long long)ns_per_kib[i],
                       (unsigned long long)late_ns[k], run.share);
            CU_ASSERT(run.share > 0.005 && run.share < 0.015);
        }
}

/* A large surplus is gone in time; a very large one takes no more than a quarter of a core. */
static void large_surplus(void)
{
    struct run run = give_back(3600 * MIB, 190, 1000000);
    printf("3.6 GiB: %.2f s, %.3f of a core\n", run.seconds, run.share);
    CU_ASSERT(run.seconds < 7 && run.share < 0.25);
    run = give_back(36000 * MIB, 190, 1000000);
    printf("36 GiB: %.2f s, %.3f of a core\n", run.seconds, run.share);
    CU_ASSERT(run.share > 0.2 && run.share < 0.26);
}

static double any_number(uint64_t *random)
{
    double x = (double)ga_test_random(random) / 1e19;
    switch (ga_test_random(random) % 8) {
    case 0:
        return NAN;
    case 1:
        return INFINITY;
    case 2:
        return -INFINITY;
    case 3:
        return x * 1e308;
    case 4:
        return -x * 1e300;
    default:
        return x;
    }
}

static void never_astray(void)
{
    uint64_t random = ga_test_seed();
    struct ga_pi_controller controller = {0};
    unsigned nreset = 0;
    for (unsigned i = 0; i < 100000; i++) {
        double output = NAN;
        double input = any_number(&random);
        double setpoint = any_number(&random);
        bool sound =
            ga_pi_controller_next(&controller, input, setpoint, any_number(&random), &output);
        nreset += !sound;
        if (!isfinite(output) || output < 0.001 || output > 1000 ||
            !isfinite(controller.error_integral)) {
            CU_ASSERT(false);
            break;
        }
    }
    CU_ASSERT(nreset > 1000 && nreset < 100000);
}

/* After that it is slow for a while, and then finds its way again. */
static void cools_down(void)
{
    struct ga_scavenge_pace pace;
    ga_scavenge_pace_init(&pace);
    pace.controller.error_integral = INFINITY;
    CU_ASSERT_EQUAL(ga_scavenge_pace_next(&pace, 1000000, 1000, BATCH, 0), 200000000);
    CU_ASSERT_EQUAL(ga_scavenge_pace_next(&pace, 1000000, 200000000, BATCH, 0), 200000000);
    uint64_t all = 0;
    uint64_t sleep = 200000000;
    for (unsigned i = 0; i < 200; i++) {
        sleep = ga_scavenge_pace_next(&pace, 1000000, sleep, BATCH, 0);
        all += i < 100 ? 0 : sleep;
    }
    CU_ASSERT(all > 100 * UINT64_C(60000000) && all < 100 * UINT64_C(160000000));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a hundredth of a core", hundredth},
        {"large surplus", large_surplus},
        {"never astray", never_astray},
        {"cools down", cools_down},
    };
    return ga_test_main("server.scavenge_pace", tests, COUNT(tests));
}
