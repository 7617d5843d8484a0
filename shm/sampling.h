/* The arithmetic of sampling. Every byte that is allocated is the end of a distance with the same
 * small chance, so distances are exponential with a mean of the rate, and an object of size bytes
 * is sampled with the chance 1 - exp(-size / rate). */
#ifndef GA_SHM_SAMPLING_H
#define GA_SHM_SAMPLING_H

#include <stdint.h>

/* The next number of a generator whose state is *state (splitmix64). One thread. */
uint64_t ga_random_next(uint64_t *state);

/* How many bytes, or what is below one of them, a distance has that random stands for, of
 * rate_bytes in the mean; 0 where rate_bytes is at most 1. Pure. */
double ga_sampling_distance(uint64_t random, uint64_t rate_bytes);

/* How many objects of size bytes one that was sampled stands for: 1 / (1 - exp(-size / rate)); 1
 * where rate_bytes is at most 1, or size 0. Pure. */
double ga_sampling_scale(uint64_t size_bytes, uint64_t rate_bytes);

/* x, at least 0, as a whole number: the next above as often as its fraction says, else the next
 * below, so that a sum of many is right. state: of ga_random_next. */
uint64_t ga_sampling_round(double x, uint64_t *state);

#endif
