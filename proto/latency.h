/* How long something took, counted by duration: four counts for each doubling, from a microsecond
 * to an hour. Two of them taken at different times differ by what happened in between. */
#ifndef GA_PROTO_LATENCY_H
#define GA_PROTO_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#define GA_LATENCY_COUNTS 132u

struct ga_latency {
    uint64_t count[GA_LATENCY_COUNTS];
};

/* Count one that took ns. */
void ga_latency_add(struct ga_latency *latency, uint64_t ns);

/* One of n counts as a message has them; those that are missing are 0. */
struct ga_latency ga_latency_of(const uint64_t *counts, size_t n);

/* The duration, in ns, that a share of them (0 to 1) did not take longer than, rounded up to the
 * end of its count, by a quarter at most; 0 where there are none. */
uint64_t ga_latency_quantile(const struct ga_latency *latency, double share);

/* How many there are. */
uint64_t ga_latency_total(const struct ga_latency *latency);

#endif
