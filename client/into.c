/* Handles, which users know as slots: goalloc_slot and goalloc_malloc_into. An object is named in
 * the mcache before it is taken, and in the handle before its name in the mcache is cleared; so
 * whatever the server finds when it recovers this process tells of each object. */
#include "client/into.h"

#include <errno.h>
#include <stdio.h>

#include "client/class_cache.h"
#include "client/mcache.h"
#include "client/sampler.h"

static_assert(GOALLOC_SLOTS == GA_HANDLE_COUNT, "as many as there are");
static_assert(sizeof(void *) == sizeof(_Atomic uint64_t), "a handle is a pointer");

static struct ga_handles *own_handles(const struct goalloc_heap *heap)
{
    uint32_t client = ga_load_relaxed(&heap->client);
    return client != 0 ? &heap->view.handles[client - 1] : NULL;
}

void **goalloc_slot(struct goalloc_heap *heap, unsigned index)
{
    struct ga_channel *channel;
    if (index >= GA_HANDLE_COUNT) {
        errno = EINVAL;
        return NULL;
    }
    int saved_errno = errno;
    int r = ga_attach_channel(heap, &channel);
    struct ga_handles *handles = r == 0 ? own_handles(heap) : NULL;
    errno = handles ? saved_errno : r < 0 ? -r : ENOTCONN;
    return handles ? (void **)&handles->object[index] : NULL;
}

/* Which of this process's handles lies at slot. False if none does. */
static bool find_handle(const struct goalloc_heap *heap, void *const *slot, uint32_t *ret)
{
    const struct ga_handles *handles = own_handles(heap);
    uintptr_t offset = (uintptr_t)slot - (uintptr_t)handles;
    if (!handles || offset >= sizeof(*handles) || offset % sizeof(*slot) != 0)
        return false;
    *ret = (uint32_t)(offset / sizeof(*slot));
    return true;
}

static void *refuse(struct goalloc_heap *heap, void *const *slot, const char *what)
{
    char message[160];
    snprintf(message, sizeof(message), "goalloc_malloc_into(%p): %s; nothing was allocated",
             (const void *)slot, what);
    ga_report(heap, GOALLOC_REPORT_BAD_SLOT, message);
    errno = EINVAL;
    return NULL;
}

/* As the fast path of malloc. */
static int take_small(struct ga_thread_cache *cache, ga_span_class span_class, uint32_t handle,
                      uint64_t *ret_offset)
{
    struct ga_free_list *list = ga_class_cache_get(cache, span_class)->list;
    struct ga_free_slot *first;
    uint64_t a;
    while (!(first = ga_free_list_first(list, &a))) {
        int r = ga_alloc_refill(cache, span_class);
        if (r < 0)
            return r;
    }
    *ret_offset = (uint64_t)(first->p - (char *)cache->heap->base);
    ga_into_begin(cache->shared, handle);
    ga_into_note(cache->shared, *ret_offset);
    (void)ga_free_list_take(list, first, a);
    return 0;
}

/* Which object it will be is known when a kept span is chosen, or the server's answer is here. */
static int take_large(struct ga_thread_cache *cache, size_t size, uint32_t handle,
                      uint64_t *ret_offset)
{
    ga_page_id page = 0;
    bool zeroed;
    ga_into_begin(cache->shared, handle);
    int r = ga_alloc_large_span(cache, size, 0, false, &page, &zeroed);
    *ret_offset = (uint64_t)page << GA_PAGE_SHIFT;
    return r;
}

/* The object is taken. *ret_sampled is its size where it is sampled, at *ret_rate. */
static int take(struct ga_thread_cache *cache, size_t size, uint32_t handle, uint64_t *ret_offset,
                uint64_t *ret_sampled, uint64_t *ret_rate)
{
    bool small = size <= GA_SMALL_MAX;
    ga_span_class span_class = small ? (ga_span_class)(ga_size_class_for_malloc(size) * 2) : 0;
    uint64_t bytes = small ? ga_size_classes[span_class / 2].size
                           : (size + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE * GA_PAGE_SIZE;
    int r = small ? take_small(cache, span_class, handle, ret_offset)
                  : take_large(cache, size, handle, ret_offset);
    struct ga_free_list *list = cache->by_class[span_class]; /* made, if it gave the object */
    bool due =
        r == 0 && (small ? ga_sampler_count(list) && ga_sampler_is_due(cache, list, bytes, ret_rate)
                         : ga_sampler_is_large_due(cache, bytes, ret_rate));
    *ret_sampled = due ? bytes : 0;
    return r;
}

void *goalloc_malloc_into(struct goalloc_heap *heap, size_t size, void **slot)
{
    ga_registry_meet_copy(heap);
    uint32_t handle;
    if (!find_handle(heap, slot, &handle))
        return refuse(heap, slot, "it is no slot of this process");
    _Atomic uint64_t *word = &own_handles(heap)->object[handle];
    if (ga_load_relaxed(word) != 0)
        return refuse(heap, slot, "the slot is not empty");

    int saved_errno = errno;
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    uint64_t offset = 0;
    uint64_t sampled = 0;
    uint64_t rate = 0;
    int r = cache ? take(cache, size, handle, &offset, &sampled, &rate) : -ENOMEM;
    if (r == 0)
        ga_store_release(word, heap->base + offset);
    if (cache) {
        ga_into_end(cache->shared);
        ga_thread_cache_put(cache);
    }
    ga_busy_end();
    errno = r == 0 ? saved_errno : ENOMEM;
    void *p = r == 0 ? (char *)heap->base + offset : NULL;
    return sampled ? ga_profile_note(heap, p, sampled, rate) : p;
}
