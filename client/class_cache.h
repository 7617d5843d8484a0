/* The classes of a thread's cache. One is made when it is first needed, beside the one that was
 * made before: most threads use few classes, and what they use of them is to lie in few OS pages,
 * since each is a page fault in every short program, and again in every child of fork that writes
 * to it. A class that is made stays. Used by the thread whose cache it is, in an operation. */
#ifndef GA_CLIENT_CLASS_CACHE_H
#define GA_CLIENT_CLASS_CACHE_H

#include "client/heap.h"

/* The cache is new, all zero but for its mcache: no class is made. */
void ga_class_cache_init_all(struct ga_thread_cache *cache);
/* Give up the spans of all that are made. */
void ga_class_cache_fini_all(struct ga_thread_cache *cache);
/* The heap is going: no list has anything any more, nor a holder, for the heap that comes next in
 * the same place may have mcaches of the same numbers; they count in nothing's. */
void ga_class_cache_forget_all(struct ga_thread_cache *cache, struct ga_mcache *nothing);

/* Make the class, which is not made: its list is open, and it has no span. */
struct ga_class_cache *ga_class_cache_make(struct ga_thread_cache *cache, ga_span_class span_class);

/* The class if it is made, as one is that has spans; else NULL. */
static inline struct ga_class_cache *ga_class_cache_peek(const struct ga_thread_cache *cache,
                                                         ga_span_class span_class)
{
    return cache->by_class[span_class]->class;
}

/* The class, made now if it is not. */
static inline struct ga_class_cache *ga_class_cache_get(struct ga_thread_cache *cache,
                                                        ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    return __builtin_expect(class != NULL, 1) ? class : ga_class_cache_make(cache, span_class);
}

/* Where the tiny class is, or will be, and its list; all zero before it is made. */
static inline struct ga_class_cache *ga_class_cache_tiny(struct ga_thread_cache *cache)
{
    return &cache->classes[GA_SPAN_CLASS_COUNT - 1];
}

static inline struct ga_free_list *ga_class_cache_tiny_list(struct ga_thread_cache *cache)
{
    return &cache->lists[0];
}

#endif
