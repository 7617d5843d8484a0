/* A thread that sleeps makes no slow step, and so does not learn what the server asks for. What it
 * keeps is given back for it: its cache is taken away, by the rule of busy.h, given back from
 * as the thread would do it by itself, and put back. A thread that wants it meanwhile waits for the
 * heap's lock, which is held as long as one cache is away; so does a fork, and nothing is away in
 * the child. */
#include "client/reclaim.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/heap.h"
#include "client/mcache.h"

/* Every thread of this process that runs goes through a barrier. False where the kernel does not do
 * that. To register is nothing but the first time in a process. */
static bool pass_barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* Take the cache from its thread. False, and it is back, if the thread may be at it. With the
 * heap's lock held, as the next. */
static bool take_away(struct ga_thread_cache *cache, struct ga_thread_cache *_Atomic *place)
{
    ga_store_relaxed(place, NULL);
    /* The mark is read after the barrier: an operation that began before it is seen, and one that
     * begins after it finds the place empty. Acquire: pairs with the end of the last. */
    if (pass_barrier() && ga_load_acquire(&cache->home->busy) == GA_BUSY_NOT)
        return true;
    ga_store_release(place, cache);
    return false;
}

void ga_reclaim_cache(struct ga_thread_cache *cache, enum ga_reclaim_what what)
{
    if (what == GA_RECLAIM_UNNEEDED) {
        ga_mcache_give_back_unneeded(cache);
        return;
    }
    cache->reclaim_seen = ga_load_relaxed(&cache->heap->reclaim_count);
    ga_mcache_trim(cache);
}

/* Whether that could be done. */
static bool reclaim_idle_threads(struct ga_thread_cache *cache, enum ga_reclaim_what what)
{
    struct ga_thread_cache *_Atomic *place = &cache->home->cache[cache->heap->place];
    if (!take_away(cache, place))
        return false;
    ga_reclaim_cache(cache, what);
    /* Pairs with the acquire of the thread, which finds its cache as it is now. */
    ga_store_release(place, cache);
    return true;
}

uint32_t ga_reclaim(struct goalloc_heap *heap, enum ga_reclaim_what what)
{
    uint32_t nbusy = 0;
    ga_fetch_add_relaxed(what == GA_RECLAIM_UNUSED ? &heap->reclaim_count : &heap->unneeded_count,
                         1);
    ga_thread_cache_reclaim_idle(heap, what);
    pthread_mutex_lock(&heap->lock);
    struct ga_thread_cache *cache = heap->caches;
    while (!heap->detaching && !ga_load_relaxed(&heap->paused) && cache) {
        if (cache->home && !reclaim_idle_threads(cache, what))
            nbusy++;
        struct ga_thread_cache *next = cache->next_of_heap;
        /* Whoever waits goes first. Caches only go with the heap. */
        pthread_mutex_unlock(&heap->lock);
        pthread_mutex_lock(&heap->lock);
        cache = next;
    }
    pthread_mutex_unlock(&heap->lock);
    return nbusy;
}
