/* What mcaches have counted. Their counters never go back, also not when an mcache's id is used
 * again; so what a client did is what they say beyond what they said when it got the mcache. All of
 * it lies where clients write: it is shown, and nothing is decided by it. */
#ifndef GA_SHM_COUNTERS_H
#define GA_SHM_COUNTERS_H

#include "shm/atomic.h"
#include "shm/size_class.h"

struct ga_counters {
    uint64_t mallocs[GA_SIZE_CLASS_COUNT]; /* by size class, 0 = large */
    uint64_t frees[GA_SIZE_CLASS_COUNT];
    uint64_t large_alloc_bytes; /* of large objects, and of what they have grown by */
    uint64_t large_free_bytes;  /* of those freed, and of what they have shrunk by */
};

/* Add to sum what the mcache has ever counted; or what it has since its client got it, which is
 * nothing where the words contradict each other. */
void ga_counters_add(const struct ga_mcache *mcache, struct ga_counters *sum);
void ga_counters_add_since(const struct ga_mcache *mcache, struct ga_counters *sum);

/* The server is about to give the mcache to a client, which has done nothing with it. */
void ga_counters_begin(struct ga_mcache *mcache);

/* Over all classes, and the bytes that were ever allocated and freed of one. */
uint64_t ga_counters_mallocs(const struct ga_counters *counters);
uint64_t ga_counters_frees(const struct ga_counters *counters);
uint64_t ga_counters_alloc_bytes(const struct ga_counters *counters, uint32_t size_class);
uint64_t ga_counters_free_bytes(const struct ga_counters *counters, uint32_t size_class);

/* What objects of the class that take bytes by their counts are said to take, in nspans spans: tiny
 * objects are counted and not sized, each as 8 bytes, and all together as no more than what holds
 * them. */
uint64_t ga_counters_bound(uint32_t size_class, uint64_t bytes, uint64_t nspans);

#endif
