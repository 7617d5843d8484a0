/* A fork of a process with a heap of its own: parent and child have a copy each, since all of it is
 * memory of the process. What a fork must see to is that no thread is within the core meanwhile,
 * and that what threads have that the child does not is somebody's there.
 *
 * Those threads may have been at any instruction. To the heap that is what a kill is to a heap that
 * is shared: A and F tell what is in use, and their mcaches are recovered as those of the dead. An
 * object that such a thread had not yet got, or was about to free, stays in use. */
#include <pthread.h>

#include "own_heap.h"
#include "proto/own_core.h"

void ga_own_fork_before(void)
{
    struct goalloc_heap *heap = ga_own_heap();
    ga_thread_cache_lock_links();
    pthread_mutex_lock(&heap->lock);
    ga_own_server_lock();
}

void ga_own_fork_after(void)
{
    ga_own_server_unlock();
    pthread_mutex_unlock(&ga_own_heap()->lock);
    ga_thread_cache_unlock_links();
}

static bool is_idle(const struct goalloc_heap *heap, const struct ga_thread_cache *cache)
{
    const struct ga_thread_cache *c = heap->idle;
    while (c && c != cache)
        c = c->next;
    return c != NULL;
}

/* Whether the thread that has the cache is not here. */
static bool is_lost(const struct goalloc_heap *heap, const struct ga_thread_cache *cache)
{
    return cache != ga_tls.own[heap->place] && !is_idle(heap, cache);
}

void ga_own_fork_in_child(void)
{
    struct goalloc_heap *heap = ga_own_heap();
    heap->asking = false; /* whoever asks is not here */
    /* No function that the parent has not called: the loader would look for it in each child. */
    heap->asked = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    heap->nleaving = 0;
    ga_profile_reset(heap);
    struct ga_thread_cache **link = &heap->caches;
    while (*link) {
        struct ga_thread_cache *cache = *link;
        if (!is_lost(heap, cache)) {
            link = &cache->next_of_heap;
            continue;
        }
        *link = cache->next_of_heap;
        ga_own_core_mcache_gone(cache->id);
        ga_thread_cache_free(cache);
    }
    ga_own_fork_after();
}

static void before(void)
{
    ga_own_heap_is_to_be_copied();
    ga_own_fork_before();
}

static void in_child(void)
{
    ga_own_fork_in_child();
    ga_own_heap_is_copied();
}

void ga_own_fork_init(void)
{
    pthread_atfork(before, ga_own_fork_after, in_child);
}

/* ---- registry.c's part: there is one heap, and a copy has its own ---- */

void ga_registry_meet_copy(struct goalloc_heap *heap)
{
    (void)heap;
}

uint32_t ga_fork_count(void)
{
    return 0;
}
