/* Large objects whose spans are leased to the mcache: up to 1 MiB. What is freed of them is kept
 * for reuse, within bounds, so that who allocates and frees them does not wait for the server. */
#ifndef GA_CLIENT_LARGE_H
#define GA_CLIENT_LARGE_H

#include "client/heap.h"

/* How long a span may be that is to hold npages, and no more is said of it: a quarter longer. */
static inline uint64_t ga_large_longest_fit(uint64_t npages)
{
    return npages + npages / 4;
}

/* Take the best fit for npages from the spans kept, its object's slot in use: one that is at most a
 * quarter longer, or less than twice as long while there is little to spare elsewhere (roomy.h). 0
 * if there is none. */
ga_page_id ga_large_take_kept(struct ga_thread_cache *cache, ga_span_class span_class,
                              uint64_t npages);

/* The same for an object that grows, and so may grow again: the longest that may be had. */
ga_page_id ga_large_take_longest(struct ga_thread_cache *cache, ga_span_class span_class,
                                 uint64_t npages);

/* Begin the lease of a span that was granted, and take its object's slot. There must be room for it
 * among the class's spans (ga_spans_reserve). */
void ga_large_begin_lease(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page);

/* The object of a leased span was freed: keep the span, or give it back, or one kept before. */
void ga_large_freed(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page);

/* Give back every span kept, also those whose objects others have freed. Returns how many went. */
uint32_t ga_large_trim(struct ga_thread_cache *cache);

/* Count an object of npages allocated, freed, or made longer (npages) or shorter (-npages). */
void ga_large_count_malloc(struct ga_thread_cache *cache, ga_span_class span_class,
                           uint64_t npages);
void ga_large_count_free(struct ga_thread_cache *cache, uint64_t npages);
void ga_large_count_resize(struct ga_thread_cache *cache, uint64_t old_npages, uint64_t npages);

#endif
