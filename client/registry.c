/* The heaps of this process, and what a fork does to them: the child finds every heap still mapped,
 * but holds no mcache and no connection; it attaches as itself at its first call that needs one. */
#include <errno.h>

#include "client/heap.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct goalloc_heap *heaps[GA_HEAPS_MAX];
static _Atomic uint32_t fork_count;

static void before_fork(void)
{
    pthread_mutex_lock(&registry_lock);
    ga_thread_cache_lock_links();
    for (unsigned i = 0; i < GA_HEAPS_MAX; i++)
        if (heaps[i])
            pthread_mutex_lock(&heaps[i]->lock);
}

static void unlock_all(void)
{
    for (unsigned i = GA_HEAPS_MAX; i-- > 0;)
        if (heaps[i])
            pthread_mutex_unlock(&heaps[i]->lock);
    ga_thread_cache_unlock_links();
    pthread_mutex_unlock(&registry_lock);
}

static void in_child(void)
{
    atomic_fetch_add(&fork_count, 1);
    /* The parent's mcaches are the parent's, and so are its connections: their descriptors are
     * closed now, before the child can give their numbers another meaning. */
    for (unsigned i = 0; i < GA_HEAPS_MAX; i++) {
        if (!heaps[i])
            continue;
        ga_thread_cache_drop_all(heaps[i]);
        ga_channel_abandon(heaps[i]->channel);
        heaps[i]->channel = NULL;
    }
    unlock_all();
}

uint32_t ga_fork_count(void)
{
    return ga_load_relaxed(&fork_count);
}

static void install_fork_handlers(void)
{
    pthread_atfork(before_fork, unlock_all, in_child);
}

int ga_registry_add(struct goalloc_heap *heap)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_fork_handlers);
    int r = -EMFILE;
    pthread_mutex_lock(&registry_lock);
    for (uint32_t i = 0; i < GA_HEAPS_MAX && r < 0; i++) {
        if (!heaps[i]) {
            heaps[i] = heap;
            heap->tls_index = i;
            r = 0;
        }
    }
    pthread_mutex_unlock(&registry_lock);
    return r;
}

void ga_registry_remove(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&registry_lock);
    heaps[heap->tls_index] = NULL;
    pthread_mutex_unlock(&registry_lock);
}
