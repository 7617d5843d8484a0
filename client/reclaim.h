/* The server asks for memory back: giving back what the caches of this process hold and do not use,
 * on the library's own thread. */
#ifndef GA_CLIENT_RECLAIM_H
#define GA_CLIENT_RECLAIM_H

#include <stdint.h>

struct goalloc_heap;
struct ga_thread_cache;

enum ga_reclaim_what {
    GA_RECLAIM_UNUSED,   /* memory is short: empty spans, large ones that are kept, and the frees
                            that are collected */
    GA_RECLAIM_UNNEEDED, /* of the empty spans only those that their classes have not needed since
                            they were last looked at; and those frees */
};

/* Give that back of every cache of heap that nobody is at just now: those of threads that have
 * exited, and those of threads that are in none of the library's functions; the kernel must know
 * membarrier for the latter. Threads that are at theirs do it at their next slow step. Returns how
 * many those are. On the library's thread, or another that holds no lock and is in no operation. */
uint32_t ga_reclaim(struct goalloc_heap *heap, enum ga_reclaim_what what);

/* The same for one cache, by who has it. */
void ga_reclaim_cache(struct ga_thread_cache *cache, enum ga_reclaim_what what);

#endif
