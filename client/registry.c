/* The heaps of this process, and what a fork does to them: the child finds every heap still mapped,
 * but holds no mcache and no connection; it attaches as itself at its first call that needs one. A
 * heap that another thread is attaching is not mapped as yet when the fork comes, or is there; one
 * that another thread is detaching the child does not get, since nobody is left there to end that.
 *
 * A child of clone(2) without CLONE_VM is such a copy as well, but no fork handler runs in it. It
 * is known by the first OS page of each heap, which the kernel has wiped: see heap.h. Until its
 * first call has noticed that, it must have one thread, as fork leaves it. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "client/heap.h"
#include "client/leak_root.h"
#include "client/managed_stop.h"
#include "client/written.h"
#include "client/private_server.h"
#include "client/uncancelled.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct goalloc_heap *heaps[GA_TLS_PLACES]; /* by place; 0 is nobody's */
static _Atomic uint32_t fork_count;

static void before_fork(void)
{
    ga_uncancelled_begin(); /* nor stopped, with all these locks */
    pthread_mutex_lock(&registry_lock);
    ga_thread_cache_lock_links();
    for (unsigned i = 1; i < GA_TLS_PLACES; i++)
        if (heaps[i])
            pthread_mutex_lock(&heaps[i]->lock);
}

static void unlock_all(void)
{
    for (unsigned i = GA_TLS_PLACES; i-- > 1;)
        if (heaps[i])
            pthread_mutex_unlock(&heaps[i]->lock);
    ga_thread_cache_unlock_links();
    pthread_mutex_unlock(&registry_lock);
    ga_uncancelled_end();
}

/* In a child: heap's connection is the parent's; and threads may have caches of their own. */
static void leave_parent(struct goalloc_heap *heap)
{
    ga_channel_abandon(heap->channel);
    heap->channel = NULL;
    ga_written_end(heap);
    ga_store_relaxed(&heap->client, 0);
    ga_store_relaxed(&heap->places.taken, 0); /* by threads that are not here */
    heap->asking = false;                     /* whoever asks is not here */
    pthread_cond_init(&heap->asked, NULL);
    ga_pause_reset(heap);
    ga_profile_reset(heap);
    ga_store_relaxed(&heap->tls_index, heap->place);
}

static void in_child(void)
{
    GA_UNCANCELLED;
    atomic_fetch_add(&fork_count, 1);
    /* The parent's mcaches are the parent's, and so are its connections: their descriptors are
     * closed now, before the child can give their numbers another meaning. */
    for (unsigned i = 1; i < GA_TLS_PLACES; i++) {
        struct goalloc_heap *heap = heaps[i];
        if (!heap)
            continue;
        ga_thread_cache_drop_all(heap);
        leave_parent(heap);
        if (!heap->going)
            continue;
        heaps[i] = NULL;
        pthread_mutex_unlock(&heap->lock); /* of before_fork */
        ga_attach_drop_in_child(heap);
    }
    ga_stop_in_child();
    unlock_all();
    ga_private_server_in_child();
}

void ga_registry_meet_copy(struct goalloc_heap *heap)
{
    if (ga_load_relaxed(&heap->tls_index) != 0)
        return;
    atomic_fetch_add(&fork_count, 1);
    /* The copy may have been made while another thread was anywhere: its locks are nobody's here,
     * and its lists are not walked. */
    pthread_mutex_init(&registry_lock, NULL);
    ga_thread_cache_reset_links();
    ga_stop_in_child();
    ga_private_server_in_child();
    for (unsigned i = 1; i < GA_TLS_PLACES; i++) {
        if (!heaps[i])
            continue;
        pthread_mutex_init(&heaps[i]->lock, NULL);
        ga_thread_cache_abandon_all(heaps[i]);
        leave_parent(heaps[i]);
    }
}

uint32_t ga_fork_count(void)
{
    return ga_load_relaxed(&fork_count);
}

static void install_fork_handlers(void)
{
    pthread_atfork(before_fork, unlock_all, in_child);
}

struct goalloc_heap *ga_registry_new_heap(void)
{
    static_assert(offsetof(struct goalloc_heap, place) == GA_OS_PAGE_SIZE, "a page of its own");
    struct goalloc_heap *heap =
        mmap(NULL, sizeof(*heap), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap == MAP_FAILED)
        return NULL;
    /* A kernel that cannot (before 4.14) leaves fork as it is, and clone(2) uncaught. */
    (void)madvise(heap, GA_OS_PAGE_SIZE, MADV_WIPEONFORK);
    ga_leak_root_add(heap, sizeof(*heap)); /* its strings are allocated */
    return heap;
}

void ga_registry_free_heap(struct goalloc_heap *heap)
{
    ga_leak_root_remove(heap, sizeof(*heap));
    munmap(heap, sizeof(*heap));
}

void ga_registry_begin_change(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_fork_handlers);
    pthread_mutex_lock(&registry_lock);
}

void ga_registry_end_change(void)
{
    pthread_mutex_unlock(&registry_lock);
}

int ga_registry_add(struct goalloc_heap *heap)
{
    int r = -EMFILE;
    for (uint32_t i = 1; i < GA_TLS_PLACES && r < 0; i++) {
        if (!heaps[i]) {
            heaps[i] = heap;
            heap->place = i;
            ga_store_relaxed(&heap->tls_index, i);
            r = 0;
        }
    }
    return r;
}

void ga_registry_remove(struct goalloc_heap *heap)
{
    heaps[heap->place] = NULL;
}
