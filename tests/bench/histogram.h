/* How often something took how long, in buckets that are 1/32 apart in proportion: small enough not
 * to disturb the caches that the measured work uses. */
#ifndef GA_TESTS_BENCH_HISTOGRAM_H
#define GA_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#include "worker.h"

#define GA_BENCH_HISTOGRAM_STEPS 32u /* to the double */

/* All zero is empty. */
struct ga_bench_histogram {
    uint64_t total;
    uint64_t greatest; /* exact */
    uint32_t counts[60 * GA_BENCH_HISTOGRAM_STEPS];
};

/* The time stamp counter, which is read in some nanoseconds. */
static inline uint64_t ga_bench_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return ga_bench_now_ns();
#endif
}

static inline void ga_bench_histogram_add(struct ga_bench_histogram *histogram, uint64_t value)
{
    uint64_t bucket = value;
    if (value >= GA_BENCH_HISTOGRAM_STEPS) {
        unsigned shift = 58u - (unsigned)__builtin_clzll(value); /* the top 6 bits stay */
        bucket = shift * GA_BENCH_HISTOGRAM_STEPS + (value >> shift);
    }
    histogram->counts[bucket]++;
    histogram->total++;
    histogram->greatest = value > histogram->greatest ? value : histogram->greatest;
}

/* The least value of the bucket below which fraction of all lie. */
static inline double ga_bench_histogram_quantile(const struct ga_bench_histogram *histogram,
                                                 double fraction)
{
    uint64_t below = 0, bucket = 0;
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->total);
    while (below + histogram->counts[bucket] <= wanted)
        below += histogram->counts[bucket++];
    if (bucket < 2 * GA_BENCH_HISTOGRAM_STEPS)
        return (double)bucket;
    uint64_t shift = bucket / GA_BENCH_HISTOGRAM_STEPS - 1;
    return (double)((bucket - shift * GA_BENCH_HISTOGRAM_STEPS) << shift);
}

#endif
