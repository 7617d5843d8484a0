/* When a malloc is sampled.
 *
 * Each class of a thread's cache counts its mallocs down to the one that is sampled: how many lie
 * between two is the whole number of objects in an exponential distance, so each object is sampled
 * by itself, with the chance that its size gives it. That is as if all bytes that a thread
 * allocates were one stream, for what has an exponential distance to go has none behind it. The
 * fast path pays for it with two instructions, a subtraction in the list of free slots that it
 * reads anyway, and a jump. Of large objects, which are slow anyway, each draws for itself.
 *
 * A distance is counted down in parts, so that a rate that somebody has set is known soon. */
#ifndef GA_CLIENT_SAMPLER_H
#define GA_CLIENT_SAMPLER_H

#include <stdbool.h>

#include "client/heap.h"

/* What a tiny object counts, whatever its size, as in statistics. */
#define GA_TINY_SAMPLED_BYTES 8u

/* Every malloc of the class counts itself; true: it is the last, and must call
 * ga_sampler_is_due. In an operation. */
static inline __attribute__((always_inline)) bool ga_sampler_count(struct ga_free_list *list)
{
    return __builtin_expect(--list->to_sample < 0, 0);
}

/* Begin counting to the next; whether this one, of an object of size_bytes, is sampled, and at what
 * rate. In an operation. */
bool ga_sampler_is_due(struct ga_thread_cache *cache, struct ga_free_list *list,
                       uint64_t size_bytes, uint64_t *ret_rate);

/* Whether a large object is sampled. In an operation. */
bool ga_sampler_is_large_due(struct ga_thread_cache *cache, uint64_t size_bytes,
                             uint64_t *ret_rate);

/* The cache is new: its random numbers are its own. */
void ga_sampler_init(struct ga_thread_cache *cache);

#endif
