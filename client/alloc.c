/* Allocation. The fast path takes a slot off the class's list: a store, which is the commit, and a
 * count. It makes no system call and takes no lock. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "client/class_cache.h"
#include "client/fast_path.h"
#include "client/heap.h"
#include "client/mcache.h"
#include "client/sampler.h"
#include "client/spans.h"
#include "client/tiny.h"
#include "client/uncancelled.h"

/* How long a request that found no memory waits for what the others give back when asked: at its
 * second and third attempt. */
static const long reclaim_wait_ms[] = {2, 20};

/* Whether there is something to give back that may help: the heap, or a quota, is used up. */
static bool is_for_want(int err)
{
    return err == -ENOMEM || err == -EDQUOT;
}

/* The heap is full: give back what this thread and those that have exited keep and do not use, and
 * let the others do as the server has asked them. Returns whether to try again. */
static bool relieve(struct ga_thread_cache *cache, unsigned attempt)
{
    if (attempt == 0) {
        ga_mcache_trim(cache);
        ga_thread_cache_reclaim_idle(cache->heap, GA_RECLAIM_UNUSED);
        return true;
    }
    if (attempt > sizeof(reclaim_wait_ms) / sizeof(reclaim_wait_ms[0]))
        return false;
    GA_UNCANCELLED;
    struct timespec wait = {.tv_nsec = reclaim_wait_ms[attempt - 1] * 1000000};
    uint8_t before = ga_busy_begin_wait(NULL);
    nanosleep(&wait, NULL);
    ga_busy_end_wait(before);
    return true;
}

bool ga_alloc_relieve(struct ga_thread_cache *cache, int err, unsigned attempt)
{
    return is_for_want(err) && relieve(cache, attempt);
}

int ga_alloc_refill(struct ga_thread_cache *cache, ga_span_class span_class)
{
    int r = ga_mcache_refill(cache, span_class);
    for (unsigned attempt = 0; ga_alloc_relieve(cache, r, attempt); attempt++)
        r = ga_mcache_refill(cache, span_class);
    return r;
}

__attribute__((noinline)) void *ga_alloc_slowly(struct goalloc_heap *heap, ga_span_class span_class,
                                                struct ga_tiny_shape shape)
{
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    if (!cache) {
        ga_busy_end();
        errno = ENOMEM;
        return NULL;
    }
    void *p;
    do
        if (!tiny)
            p = ga_free_list_malloc(ga_class_cache_get(cache, span_class)->list);
        else if (!ga_tiny_take(cache, &shape, &p))
            p = NULL;
    while (!p && ga_alloc_refill(cache, span_class) == 0);
    ga_thread_cache_put(cache);
    p = ga_busy_end_with(p);
    errno = p ? saved_errno : ENOMEM;
    return p;
}

__attribute__((noinline)) void *ga_alloc_next(struct goalloc_heap *heap, uint32_t span_class)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    if (cache->heap != heap) /* of one that was detached and had the same place */
        return ga_alloc_slowly(heap, (ga_span_class)span_class, (struct ga_tiny_shape){0});
    struct ga_free_list *list = ga_class_cache_get(cache, (ga_span_class)span_class)->list;
    void *p = list->top != list->slot ? ga_free_list_malloc(list) : NULL;
    if (!p && ga_mcache_refill_at_hand(cache, (ga_span_class)span_class))
        p = ga_free_list_malloc(list);
    if (!p)
        return ga_alloc_slowly(heap, (ga_span_class)span_class, (struct ga_tiny_shape){0});
    return ga_busy_end_with(p);
}

/* Where a tiny object goes that is sampled: a free of a tiny one does not look for samples. The
 * slots are the longer the fewer they are, so that there is room for the words of all (sample.h).
 */
static uint32_t class_of_sampled_tiny(uint64_t rate)
{
    uint64_t size = rate / 128;
    size = size < 32 ? 32 : size; /* where each has room, in a heap made for it */
    size = size > 4096 ? 4096 : size;
    return ga_size_class_for_malloc(size) * 2 + 1;
}

/* Note an object of a small class, if it is sampled: rate is not 0 then. */
static void *note_small(struct goalloc_heap *heap, void *p, uint32_t span_class, uint64_t rate)
{
    uint64_t size = ga_size_classes[span_class / 2].size;
    return p && rate ? ga_profile_note(heap, p, size, rate) : p;
}

/* Whether the malloc from cache that comes next, which has been counted, is to be sampled: at which
 * rate, or 0. */
static uint64_t look_if_due(struct goalloc_heap *heap, struct ga_thread_cache *cache,
                            uint32_t span_class)
{
    uint64_t rate = 0;
    if (cache->heap != heap)
        return 0;
    struct ga_class_cache *class = ga_class_cache_get(cache, (ga_span_class)span_class);
    bool due = ga_sampler_is_due(cache, class->list, ga_size_classes[span_class / 2].size, &rate);
    return due ? rate : 0;
}

/* The class has counted down. Ends the operation. */
static __attribute__((noinline)) void *alloc_counted(struct goalloc_heap *heap, uint32_t span_class)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t rate = look_if_due(heap, cache, span_class);
    return note_small(heap, ga_alloc_next(heap, span_class), span_class, rate);
}

/* The thread has no cache at hand, and so has not counted. Ends the operation. */
static __attribute__((noinline)) void *alloc_uncounted(struct goalloc_heap *heap,
                                                       uint32_t span_class)
{
    void *p = ga_alloc_slowly(heap, (ga_span_class)span_class, (struct ga_tiny_shape){0});
    uint64_t rate = 0;
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    if (p && cache && ga_sampler_count(cache->by_class[span_class]))
        rate = look_if_due(heap, cache, span_class);
    ga_busy_end();
    ga_busy_keep(p);
    return note_small(heap, p, span_class, rate);
}

/* Ends the operation. */
static inline void *alloc_small(struct goalloc_heap *heap, uint32_t span_class)
{
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    if (__builtin_expect(!cache, 0))
        return alloc_uncounted(heap, span_class);
    struct ga_free_list *list = cache->by_class[span_class];
    cache->last = list;
    if (ga_sampler_count(list))
        return alloc_counted(heap, span_class);
    return ga_fast_take(heap, list);
}

__attribute__((noinline)) void *ga_malloc_counted(struct goalloc_heap *heap, size_t size)
{
    return alloc_counted(heap, ga_size_class_for_malloc(size) * 2);
}

__attribute__((noinline)) void *ga_tiny_alloc_counted(struct goalloc_heap *heap,
                                                      struct ga_tiny_shape shape)
{
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    uint64_t rate = 0;
    if (cache->heap != heap ||
        !ga_sampler_is_due(cache, ga_class_cache_get(cache, GA_SPAN_CLASS_TINY)->list,
                           GA_TINY_SAMPLED_BYTES, &rate))
        return ga_tiny_alloc_slowly(heap, shape);
    void *p = ga_alloc_next(heap, class_of_sampled_tiny(rate));
    return p ? ga_profile_note(heap, p, GA_TINY_SAMPLED_BYTES, rate) : NULL;
}

__attribute__((noinline)) void *ga_tiny_alloc_uncounted(struct goalloc_heap *heap,
                                                        struct ga_tiny_shape shape)
{
    uint64_t rate = 0;
    bool due = false;
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    if (cache) {
        struct ga_free_list *list = ga_class_cache_get(cache, GA_SPAN_CLASS_TINY)->list;
        due =
            ga_sampler_count(list) && ga_sampler_is_due(cache, list, GA_TINY_SAMPLED_BYTES, &rate);
        ga_thread_cache_put(cache);
    }
    errno = saved_errno;
    if (!due)
        return ga_tiny_alloc_slowly(heap, shape);
    void *p = ga_alloc_slowly(heap, (ga_span_class)class_of_sampled_tiny(rate), shape);
    return p ? ga_profile_note(heap, p, GA_TINY_SAMPLED_BYTES, rate) : NULL;
}

__attribute__((noinline)) void *ga_malloc_longer(struct goalloc_heap *heap, size_t size)
{
    if (size <= GA_SMALL_MAX)
        return alloc_small(heap, ga_size_class_for_malloc(size) * 2);
    bool zeroed;
    return ga_alloc_large(heap, size, 0, false, &zeroed);
}

/* The thread has no cache at hand. Ends the operation. */
static __attribute__((noinline)) void *malloc_uncounted(struct goalloc_heap *heap, size_t size)
{
    return size <= GA_SMALL_MAX ? alloc_uncounted(heap, ga_size_class_for_malloc(size) * 2)
                                : ga_malloc_longer(heap, size);
}

void *goalloc_malloc(struct goalloc_heap *heap, size_t size)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    if (__builtin_expect(!cache, 0))
        return malloc_uncounted(heap, size);
    return ga_fast_malloc(heap, cache, size);
}

void *goalloc_calloc(struct goalloc_heap *heap, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return goalloc_alloc(heap, bytes, 0, GOALLOC_ZERO);
}

/* The class for size bytes at this alignment, a power of two or 0; 0 where only a large span
 * serves.
 */
static uint32_t small_class(size_t size, size_t alignment)
{
    if (size > GA_SMALL_MAX)
        return 0;
    return alignment ? ga_size_class_aligned(size, alignment) : ga_size_class_for_malloc(size);
}

/* Whether the slot that this thread has just allocated was never handed out before and so is zero:
 * an operation of its own, since nothing that comes between two of them fills a list. */
static bool is_known_zero(struct goalloc_heap *heap, ga_span_class span_class)
{
    ga_busy_begin();
    const struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    bool zero = cache && ga_free_list_was_untouched(cache->by_class[span_class]);
    ga_busy_end();
    return zero;
}

static __attribute__((noinline)) void *alloc_any(struct goalloc_heap *heap, size_t size,
                                                 size_t alignment, unsigned flags)
{
    if (flags & ~(GOALLOC_NOSCAN | GOALLOC_ZERO) || (alignment & (alignment - 1)) != 0 ||
        alignment > GA_ALIGNMENT_MAX) {
        errno = EINVAL;
        return NULL;
    }
    bool noscan = flags & GOALLOC_NOSCAN;
    bool zeroed = false;
    void *p;
    ga_busy_begin();
    if (noscan && size <= GA_TINY_SIZE_MAX && alignment <= GA_TINY_ALIGN_MAX) {
        struct ga_tiny_shape shape = ga_tiny_shape(size, alignment);
        p = ga_tiny_alloc(heap, &shape);
    } else {
        uint32_t size_class = small_class(size, alignment);
        ga_span_class span_class = (ga_span_class)(size_class * 2 + noscan);
        p = size_class ? alloc_small(heap, span_class)
                       : ga_alloc_large(heap, size, alignment, noscan, &zeroed);
        if (p && size_class && (flags & GOALLOC_ZERO))
            zeroed = is_known_zero(heap, span_class);
    }
    if (p && (flags & GOALLOC_ZERO) && !zeroed)
        memset(p, 0, size);
    return p;
}

void *goalloc_alloc(struct goalloc_heap *heap, size_t size, size_t alignment, unsigned flags)
{
    if (((flags ^ GOALLOC_NOSCAN) | alignment) == 0 && size <= GA_TINY_SIZE_MAX) {
        ga_busy_begin();
        return ga_tiny_alloc(heap, &ga_tiny_shapes[size]);
    }
    return alloc_any(heap, size, alignment, flags);
}

void *goalloc_aligned_alloc(struct goalloc_heap *heap, size_t alignment, size_t size)
{
    if (alignment == 0) {
        errno = EINVAL;
        return NULL;
    }
    return goalloc_alloc(heap, size, alignment, 0);
}
