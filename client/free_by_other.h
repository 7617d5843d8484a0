/* Frees by who does not hold the span's lease. */
#ifndef GA_CLIENT_FREE_BY_OTHER_H
#define GA_CLIENT_FREE_BY_OTHER_H

#include "client/heap.h"

/* Free the object p, whose slot is slot, in a span that this thread's mcache does not hold; one
 * that is not in use is reported. */
void ga_free_by_other(struct goalloc_heap *heap, void *p, const struct ga_slot *slot);

/* The same for a thread that has a cache, of a small object in the first page of its span, where
 * nothing is held, and which no batch has taken (batch.h). page: that p lies in; it is committed.
 * entry: the page's. False, and nothing has happened, if it is no such object. */
bool ga_free_quickly_by_other(struct goalloc_heap *heap, struct ga_thread_cache *cache,
                              uint64_t page, uint64_t entry, void *p);

/* A free of p in a span where something is held. True if that was all: it is held and will be freed
 * with its last release, or it was reported. */
bool ga_free_held(struct goalloc_heap *heap, void *p, const struct ga_slot *slot);

#endif
