#include "proto/latency.h"

#define FIRST_BITS 10u /* what is shorter than 2^10 ns is in the first count */
#define PART_BITS  2u
#define NPARTS     (1u << PART_BITS)

static unsigned place_of(uint64_t ns)
{
    if (ns < UINT64_C(1) << FIRST_BITS)
        return 0;
    unsigned bits = 63u - (unsigned)__builtin_clzll(ns);
    unsigned part = (unsigned)(ns >> (bits - PART_BITS)) & (NPARTS - 1);
    unsigned place = 1 + (bits - FIRST_BITS) * NPARTS + part;
    return place < GA_LATENCY_COUNTS ? place : GA_LATENCY_COUNTS - 1;
}

/* Where the count at place ends. */
static uint64_t end_of(unsigned place)
{
    if (place == 0)
        return UINT64_C(1) << FIRST_BITS;
    unsigned bits = FIRST_BITS + (place - 1) / NPARTS;
    uint64_t part = (place - 1) % NPARTS + 1;
    return (UINT64_C(1) << bits) + (part << (bits - PART_BITS));
}

void ga_latency_add(struct ga_latency *latency, uint64_t ns)
{
    latency->count[place_of(ns)]++;
}

struct ga_latency ga_latency_of(const uint64_t *counts, size_t n)
{
    struct ga_latency latency = {{0}};
    for (size_t i = 0; i < n && i < GA_LATENCY_COUNTS; i++)
        latency.count[i] = counts[i];
    return latency;
}

uint64_t ga_latency_total(const struct ga_latency *latency)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < GA_LATENCY_COUNTS; i++)
        total += latency->count[i];
    return total;
}

uint64_t ga_latency_quantile(const struct ga_latency *latency, double share)
{
    uint64_t total = ga_latency_total(latency);
    uint64_t seen = 0;
    for (unsigned i = 0; i < GA_LATENCY_COUNTS; i++) {
        seen += latency->count[i];
        if (total > 0 && (double)seen >= share * (double)total)
            return end_of(i);
    }
    return 0;
}
