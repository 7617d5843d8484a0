/* Thread caches: which mcache a thread allocates from.
 *
 * A thread gets its cache at its first call: one that an exited thread left, else a new mcache from
 * the server. When the thread exits, its cache, spans and all, goes to the heap's list of idle
 * ones. When a heap is detached, other threads may still point to their caches of it: those are
 * emptied so that every fast path falls through to here, and freed by the thread that finds its
 * own. */
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "client/class_cache.h"
#include "client/deadline.h"
#include "client/heap.h"
#include "client/managed_stop.h"
#include "client/mcache.h"
#include "client/sampler.h"
#include "client/spans.h"
#include "client/tiny.h"
#include "client/uncancelled.h"

_Thread_local struct ga_tls ga_tls __attribute__((tls_model("initial-exec")));

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor runs when a thread exits */
static int key_error;

/* How often the destructor has run in this thread: other destructors that allocate or free bring it
 * up again, but only so often. */
static _Thread_local int exit_rounds __attribute__((tls_model("initial-exec")));

/* Over the link between a cache and its heap, which detach cuts while threads exit. */
static pthread_mutex_t link_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_left = PTHREAD_COND_INITIALIZER; /* no exiting thread is at a heap */

/* What a cache of a detached heap allocates from: no slots, never written. */
static struct ga_mcache nothing;

/* What this thread has in a place from now on; NULL = nothing. */
static void set_own(uint32_t place, struct ga_thread_cache *cache)
{
    ga_tls.own[place] = cache;
    ga_store_relaxed(&ga_tls.cache[place], cache);
}

/* The cache is this thread's, and may be taken away for a while (reclaim.h) from now on. */
static void settle_in(struct ga_thread_cache *cache)
{
    struct goalloc_heap *heap = cache->heap;
    pthread_mutex_lock(&heap->lock);
    set_own(heap->place, cache);
    cache->home = &ga_tls;
    pthread_mutex_unlock(&heap->lock);
}

/* For a cache, all zero; NULL where there is none. By who asks. */
static struct ga_thread_cache *new_memory(struct goalloc_heap *heap)
{
    struct ga_thread_cache *first = heap->first_cache;
    heap->first_cache = NULL;
    if (first) {
        first->is_first = true;
        return first;
    }
    void *memory = mmap(NULL, sizeof(struct ga_thread_cache), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

/* What is the heap's own stays so, for the next cache: it lies within what the heap has reserved,
 * where nobody else's memory is to be. */
static void free_memory(struct goalloc_heap *heap, struct ga_thread_cache *cache)
{
    if (!cache->is_first)
        munmap(cache, sizeof(*cache));
    else if (madvise(cache, sizeof(*cache), MADV_DONTNEED) == 0)
        heap->first_cache = cache;
}

void ga_thread_cache_free(struct ga_thread_cache *cache)
{
    ga_class_cache_fini_all(cache);
    ga_known_fini(&cache->known);
    ga_profile_free_stacks(cache);
    free_memory(cache->heap, cache);
}

/* The cache left last keeps its empty spans, for a thread that comes soon will take it; those left
 * before it have been passed over once, and give theirs back. Called with the heap's lock held. */
static void trim_older(struct goalloc_heap *heap)
{
    for (struct ga_thread_cache *c = heap->idle->next; c && !c->trimmed; c = c->next) {
        ga_mcache_trim(c);
        c->trimmed = true;
    }
}

/* Keep the cache's heap from being detached while this thread, which exits, still waits for its
 * server; NULL where it is gone or going. */
static struct goalloc_heap *pin(struct ga_thread_cache *cache)
{
    pthread_mutex_lock(&link_lock);
    struct goalloc_heap *heap = cache->heap;
    if (heap && heap->detaching)
        heap = NULL;
    if (heap)
        heap->nleaving++;
    pthread_mutex_unlock(&link_lock);
    return heap;
}

static void unpin(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&link_lock);
    if (--heap->nleaving == 0)
        pthread_cond_broadcast(&all_left);
    pthread_mutex_unlock(&link_lock);
}

void ga_thread_cache_begin_detach(struct goalloc_heap *heap)
{
    /* Who is asking still uses the heap. */
    (void)ga_attach_begin_asking(heap, NULL);
    pthread_mutex_lock(&link_lock);
    pthread_mutex_lock(&heap->lock);
    heap->detaching = true;
    pthread_mutex_unlock(&heap->lock);
    ga_attach_end_asking(heap);
    uint8_t before = ga_busy_begin_wait(NULL);
    while (heap->nleaving > 0)
        pthread_cond_wait(&all_left, &link_lock);
    ga_busy_end_wait(before);
    pthread_mutex_unlock(&link_lock);
}

/* This thread, which exits, has no cache in the place any more, and nobody puts one there. Returns
 * the one that it had; NULL = none. */
static struct ga_thread_cache *move_out(uint32_t place)
{
    struct ga_thread_cache *cache = ga_tls.own[place];
    if (!cache)
        return NULL;
    pthread_mutex_lock(&link_lock);
    struct goalloc_heap *heap = cache->heap;
    if (heap)
        pthread_mutex_lock(&heap->lock);
    cache->home = NULL;
    set_own(place, NULL);
    if (heap)
        pthread_mutex_unlock(&heap->lock);
    pthread_mutex_unlock(&link_lock);
    return cache;
}

/* Leave cache to the next thread that needs one, or free it if its heap is gone. While the process
 * is paused nothing is written to the heap. */
static void leave(struct ga_thread_cache *cache)
{
    struct goalloc_heap *pinned = pin(cache);
    if (pinned) {
        if (!ga_load_relaxed(&pinned->paused)) {
            ga_batch_flush_own(cache);
            ga_mcache_settle(cache);
        }
        unpin(pinned);
    }
    pthread_mutex_lock(&link_lock);
    struct goalloc_heap *heap = cache->heap;
    if (heap) {
        pthread_mutex_lock(&heap->lock);
        cache->next = heap->idle;
        heap->idle = cache;
        cache->trimmed = false;
        if (!heap->detaching && !ga_load_relaxed(&heap->paused))
            trim_older(heap);
        pthread_mutex_unlock(&heap->lock);
    }
    pthread_mutex_unlock(&link_lock);
    if (!heap)
        ga_thread_cache_free(cache);
}

static void leave_caches(void *unused)
{
    (void)unused;
    exit_rounds++;
    for (unsigned i = 1; i < GA_TLS_PLACES; i++) {
        struct ga_thread_cache *cache = move_out(i);
        if (cache)
            leave(cache);
    }
}

/* Whether the destructor may not run again in this thread, so that what it keeps would be lost. */
static bool is_last_round(void)
{
    return exit_rounds >= PTHREAD_DESTRUCTOR_ITERATIONS - 1;
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, leave_caches);
}

/* When the library is loaded, so that its key is among the first 32: for a later one glibc calls
 * the process's malloc in each thread that sets it. */
static __attribute__((constructor)) void make_key_early(void)
{
    pthread_once(&key_once, make_key);
}

/* Whether the table says that the mcache is this process's. */
static bool is_ours(const struct goalloc_heap *heap, ga_mcache_id id)
{
    return ga_load_acquire(&heap->view.mcache_entries[id].client) == ga_load_relaxed(&heap->client);
}

static bool is_known(const struct goalloc_heap *heap, ga_mcache_id id)
{
    const struct ga_thread_cache *c = heap->caches;
    while (c && c->id != id)
        c = c->next_of_heap;
    return c != NULL;
}

/* How many mcaches the table says are ours, of those below end, more than we know of. */
static uint32_t count_unknown(const struct goalloc_heap *heap, uint32_t end)
{
    uint32_t count = 0;
    for (ga_mcache_id id = 1; id < end; id++)
        count += is_ours(heap, id);
    for (const struct ga_thread_cache *c = heap->caches; c; c = c->next_of_heap)
        count -= is_ours(heap, c->id);
    return count;
}

/* An mcache that the table says is ours and that we know nothing of: it was granted, and the answer
 * was lost with a connection, or came too late. 0 = none. Called by who asks, so that none is
 * on its way. They are counted first: to look for each among all that are known takes a thousand
 * threads seconds. */
static ga_mcache_id find_granted(struct goalloc_heap *heap)
{
    ga_mcache_id found = 0;
    pthread_mutex_lock(&heap->lock);
    /* Pairs with the server's release: entries below it are backed. */
    uint32_t end = ga_load_acquire(&heap->view.meta->mcache_end);
    end = end < heap->view.counts.mcaches ? end : heap->view.counts.mcaches;
    bool any = count_unknown(heap, end) != 0;
    for (ga_mcache_id id = 1; any && id < end && found == 0; id++)
        if (is_ours(heap, id) && !is_known(heap, id))
            found = id;
    pthread_mutex_unlock(&heap->lock);
    return found;
}

/* Ask the server for one more mcache. */
static int request_mcache(struct goalloc_heap *heap, const struct timespec *deadline,
                          ga_mcache_id *ret)
{
    *ret = find_granted(heap);
    if (*ret)
        return 0;
    Goalloc__V1__NewMcache body = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE;
    request.new_mcache = &body;
    struct ga_reply *reply;
    int r = ga_channel_call_once_until(heap->channel, &request, deadline,
                                       GOALLOC__V1__ENVELOPE__BODY_MCACHE, NULL, &reply);
    if (r < 0)
        return r;
    ga_mcache_id id = ga_reply_message(reply)->mcache->mcache;
    ga_reply_release(reply);
    if (id == 0 || id >= heap->view.counts.mcaches)
        return -EPROTO;
    *ret = id;
    return 0;
}

/* By who asks. */
static int make_cache(struct goalloc_heap *heap, const struct timespec *deadline,
                      struct ga_thread_cache **ret)
{
    struct ga_thread_cache *cache = new_memory(heap);
    if (!cache)
        return -ENOMEM;
    ga_mcache_id id = 0;
    int r = request_mcache(heap, deadline, &id);
    if (r < 0) {
        free_memory(heap, cache);
        return r;
    }
    cache->heap = heap;
    cache->id = id;
    cache->shared = &heap->view.mcaches[id];
    cache->ring_taken = ga_load_relaxed(&cache->shared->ring_taken);
    ga_sampler_init(cache);
    ga_class_cache_init_all(cache);
    cache->wide =
        (uintptr_t)ga_view_wide(&heap->view, 0) - sizeof(heap->view.wide_end->part[0]) +
        (uintptr_t)heap->view.lines * (sizeof(struct ga_span_wide) / sizeof(struct ga_span_line));
    cache->lines = (uintptr_t)heap->view.lines;
    ga_known_init(&cache->known, heap->base, cache->known_few);
    pthread_mutex_lock(&heap->lock);
    cache->next_of_heap = heap->caches;
    heap->caches = cache;
    pthread_mutex_unlock(&heap->lock);
    *ret = cache;
    return 0;
}

static struct ga_thread_cache *take_idle(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    struct ga_thread_cache *cache = heap->idle;
    if (cache)
        heap->idle = cache->next;
    pthread_mutex_unlock(&heap->lock);
    return cache;
}

/* A cache that somebody has left meanwhile, or a new one; by who asks. */
static int ask_for_cache(struct goalloc_heap *heap, const struct timespec *deadline,
                         struct ga_thread_cache **ret)
{
    int r = ga_attach_after_fork(heap);
    if (r < 0)
        return r;
    *ret = take_idle(heap);
    return *ret ? 0 : make_cache(heap, deadline, ret);
}

/* An idle cache, or a new one, if the server is there. */
static int try_find_cache(struct goalloc_heap *heap, const struct timespec *deadline,
                          struct ga_thread_cache **ret)
{
    GA_UNCANCELLED; /* or the thread would take a lock with it */
    int r = 0;
    *ret = take_idle(heap); /* a child of fork has none before it has attached */
    if (!*ret)
        r = ga_attach_begin_asking(heap, deadline);
    if (!*ret && r == 0) {
        r = ask_for_cache(heap, deadline, ret);
        ga_attach_end_asking(heap);
    }
    return r;
}

/* An idle cache, or a new one, for which the server is waited for as long as a call may take. */
static int find_cache(struct goalloc_heap *heap, struct ga_thread_cache **ret)
{
    struct timespec deadline = ga_deadline_in(heap->timeout_ms);
    for (;;) {
        int r = try_find_cache(heap, &deadline, ret);
        if (!ga_attach_may_pass(r))
            return r;
        struct ga_channel *channel;
        r = ga_attach_channel_until(heap, &deadline, &channel);
        if (r == 0)
            r = ga_channel_await(channel, &deadline);
        if (r == 0 && ga_deadline_left_ms(&deadline) == 0)
            r = -ETIMEDOUT;
        if (r < 0)
            return r;
    }
}

struct ga_thread_cache *ga_thread_cache_await(struct goalloc_heap *heap)
{
    struct ga_thread_cache *cache = ga_tls.own[ga_load_relaxed(&heap->tls_index)];
    if (cache) {
        /* Whoever has it away puts it back before he unlocks. */
        pthread_mutex_lock(&heap->lock);
        pthread_mutex_unlock(&heap->lock);
    }
    return cache;
}

struct ga_thread_cache *ga_thread_cache_get(struct goalloc_heap *heap)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    if (cache && cache->heap == heap)
        return cache;
    ga_registry_meet_copy(heap);
    if (cache) { /* of a heap that was detached and had the same place */
        set_own(heap->place, NULL);
        ga_thread_cache_free(cache);
    }

    pthread_once(&key_once, make_key);
    if (key_error) {
        errno = key_error;
        return NULL;
    }
    if (heap->managed)
        ga_stop_note_stack();
    int r = find_cache(heap, &cache);
    if (r < 0) {
        errno = -r;
        return NULL;
    }
    /* Any value but NULL makes the destructor run. Where it would not, the cache is lent for this
     * call. */
    if (!is_last_round() && pthread_setspecific(key, cache) == 0)
        settle_in(cache);
    return cache;
}

void ga_thread_cache_put(struct ga_thread_cache *cache)
{
    if (ga_tls.own[cache->heap->place] != cache)
        leave(cache);
}

void ga_thread_cache_reclaim_idle(struct goalloc_heap *heap, enum ga_reclaim_what what)
{
    /* Not waited for: who has the lock may wait for the thread that is here. */
    if (pthread_mutex_trylock(&heap->lock) != 0)
        return;
    for (struct ga_thread_cache *c = heap->detaching ? NULL : heap->idle; c; c = c->next)
        ga_reclaim_cache(c, what);
    pthread_mutex_unlock(&heap->lock);
}

void ga_thread_cache_lock_links(void)
{
    pthread_mutex_lock(&link_lock);
}

void ga_thread_cache_unlock_links(void)
{
    pthread_mutex_unlock(&link_lock);
}

void ga_thread_cache_reset_links(void)
{
    pthread_mutex_init(&link_lock, NULL);
}

void ga_thread_cache_abandon_all(struct goalloc_heap *heap)
{
    set_own(heap->place, NULL);
    heap->caches = NULL;
    heap->idle = NULL;
    heap->nleaving = 0; /* those threads are the parent's */
}

void ga_thread_cache_drop_all(struct goalloc_heap *heap)
{
    set_own(heap->place, NULL);
    struct ga_thread_cache *next;
    for (struct ga_thread_cache *c = heap->caches; c; c = next) {
        next = c->next_of_heap;
        ga_thread_cache_free(c);
    }
    heap->caches = NULL;
    heap->idle = NULL;
    heap->nleaving = 0;
}

void ga_thread_cache_forget_heap(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&link_lock);
    struct ga_thread_cache *mine = ga_tls.own[heap->place];
    for (struct ga_thread_cache *c = heap->caches; c; c = c->next_of_heap) {
        c->heap = NULL;
        c->id = GA_NOBODY;
        c->shared = &nothing;
        c->tiny.carver = (struct ga_tiny_carver){0};
        ga_known_forget(&c->known);
        c->roomy = (struct ga_roomy){0};
        c->batch = (struct ga_batch){0};
        ga_class_cache_forget_all(c, &nothing);
    }
    pthread_mutex_lock(&heap->lock); /* for the library's thread */
    while (heap->idle) {
        struct ga_thread_cache *c = heap->idle;
        heap->idle = c->next;
        ga_thread_cache_free(c);
    }
    if (mine)
        ga_thread_cache_free(mine);
    set_own(heap->place, NULL);
    heap->caches = NULL;
    pthread_mutex_unlock(&heap->lock);
    pthread_mutex_unlock(&link_lock);
}
