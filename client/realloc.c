/* Realloc and what else asks for an object's size. An object stays where it is as long as its slot
 * fits the new size without wasting half of it. */
#include <errno.h>
#include <string.h>

#include "client/heap.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/roomy.h"
#include "shm/tiny.h"

/* What grows beyond this may be put into a large span that was kept. */
#define ROOMY_MIN ((size_t)GA_PAGE_SIZE / 2)

static uint64_t npages_of(size_t size)
{
    return (size + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
}

static bool find_in_use(struct goalloc_heap *heap, const char *function, const void *p,
                        struct ga_slot *ret)
{
    enum ga_lookup found = ga_lookup_slot(heap, p, ret);
    if (found == GA_LOOKUP_SLOT && ga_lookup_in_use(heap, ret))
        return true;
    ga_report_bad(heap, function, p, found, ret);
    return false;
}

/* How long the object at p is, if it is a small one in use in a page that this thread is known to
 * hold; *ret is its slot then, with no more of the entry than the span class. Else 0, and it is to
 * be looked up. */
static size_t find_known(struct goalloc_heap *heap, const void *p, struct ga_slot *ret)
{
    ga_busy_begin();
    size_t bytes = 0;
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    uint64_t page = cache ? ga_known_page(&cache->known, (uintptr_t)p) : 0;
    const struct ga_known_page *known = cache ? ga_known_look(&cache->known, page) : NULL;
    uint32_t magic = known ? known->magic : 0;
    if (magic != 0) {
        uint64_t product = (uint64_t)((uint32_t)((uintptr_t)p % GA_PAGE_SIZE)) * magic;
        uint32_t index = (uint32_t)(product >> 32);
        ret->index = index;
        ret->page = (ga_page_id)page;
        ret->entry = known->span_class;
        if ((uint32_t)product < magic && /* a slot begins at p */
            (ga_slot_used(ga_view_a(&heap->view, ret->page, index / 64)) >> index % 64 & 1) != 0)
            bytes = cache->by_class[known->span_class]->size;
    }
    ga_busy_end();
    return bytes;
}

/* Whether the object p of old_bytes serves for size: it holds it, and a new one would be no
 * smaller, or not by half. A tiny one has what size asks for of alignment, too. */
static bool fits_in_place(const void *p, const struct ga_slot *slot, size_t old_bytes, size_t size)
{
    if (size > old_bytes)
        return false;
    if (slot->entry & GA_ENTRY_TINY)
        return (uintptr_t)p % (size > GA_TINY_SIZE_MAX ? 16 : ga_tiny_alignment(size)) == 0;
    uint32_t old_class = ga_entry_span_class(slot->entry) / 2u;
    return size > old_bytes / 2 || (old_class && ga_size_class_for_malloc(size) == old_class);
}

static void count_resize(struct goalloc_heap *heap, const struct ga_slot *slot, size_t size)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    if (cache) {
        ga_large_count_resize(cache, ga_entry_npages(slot->entry), npages_of(size));
        ga_roomy_forget(cache, slot->page);
        ga_thread_cache_put(cache);
    }
    ga_busy_end();
}

/* Ask the server to make a large object longer or shorter where it lies. */
static bool resize_large(struct goalloc_heap *heap, const struct ga_slot *slot, size_t size)
{
    int saved_errno = errno;
    Goalloc__V1__LargeResize body = GOALLOC__V1__LARGE_RESIZE__INIT;
    body.page = slot->page;
    body.size_bytes = size;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_RESIZE;
    request.large_resize = &body;
    struct ga_channel *channel;
    struct ga_reply *reply;
    int r = ga_attach_channel(heap, &channel);
    if (r == 0)
        /* Without a limit of time: a request that was given up would still be carried out later,
         * on an object that nobody thinks is being resized. */
        r = ga_channel_call_within(channel, &request, GA_CHANNEL_FOR_EVER,
                                   GOALLOC__V1__ENVELOPE__BODY_DONE, NULL, &reply);
    if (r == 0) {
        ga_reply_release(reply);
        count_resize(heap, slot, size);
    }
    errno = saved_errno;
    return r == 0;
}

/* Whether it is worth a request to give the end of a large object back: it has more too much than a
 * new one might have. */
static bool is_worth_shrinking(const struct ga_slot *slot, size_t size)
{
    return ga_entry_npages(slot->entry) > ga_large_longest_fit(npages_of(size));
}

/* Whether the object is in use, in a span of this thread's that holds npages. */
static bool is_mine_and_holds(const struct ga_thread_cache *cache, ga_page_id page, uint64_t npages)
{
    const struct ga_view *view = &cache->heap->view;
    uint64_t entry = ga_view_entry(view, page);
    return ga_mcache_is_mine(cache, page) && (entry & GA_ENTRY_LARGE) &&
           (ga_slot_used(ga_view_a(view, page, 0)) & 1) != 0 && npages <= ga_entry_npages(entry);
}

/* Whether p is a large object in use that lies where this thread has left it room to grow to size.
 */
static bool has_room(struct goalloc_heap *heap, const void *p, size_t size)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    bool has = false;
    if (size > ROOMY_MIN && cache && cache->roomy.count > 0 && (uintptr_t)p % GA_PAGE_SIZE == 0) {
        uint64_t page = ga_known_page(&cache->known, (uintptr_t)p);
        struct ga_roomy_object *object = ga_roomy_find(&cache->roomy, page);
        has = object && is_mine_and_holds(cache, object->page, npages_of(size)) &&
              ga_roomy_grow(&cache->roomy, object, npages_of(size));
    }
    ga_busy_end();
    return has;
}

static bool is_noscan(const struct ga_slot *slot)
{
    return ga_entry_span_class(slot->entry) & 1;
}

/* A new object for one whose slot is slot. */
static void *alloc_like(struct goalloc_heap *heap, const struct ga_slot *slot, size_t size)
{
    return is_noscan(slot) ? goalloc_alloc(heap, size, 0, GOALLOC_NOSCAN)
                           : goalloc_malloc(heap, size);
}

/* Put the object into a new one, whose memory is moved_bytes, and free it. */
static void *move(struct goalloc_heap *heap, void *p, size_t bytes, void *moved)
{
    memcpy(moved, p, bytes);
    goalloc_free(heap, p);
    return moved;
}

/* Make an object longer. What is kept is looked at before the server is asked: to copy 1 MiB takes
 * no longer than an answer of a server that is awake. */
static void *grow(struct goalloc_heap *heap, void *p, const struct ga_slot *slot, size_t old_bytes,
                  size_t size)
{
    bool large = slot->entry & GA_ENTRY_LARGE;
    void *moved = size > ROOMY_MIN ? ga_alloc_large_longest(heap, size, is_noscan(slot)) : NULL;
    if (!moved && large && resize_large(heap, slot, size))
        return p;
    if (!moved)
        moved = alloc_like(heap, slot, size);
    return moved ? move(heap, p, old_bytes, moved) : NULL;
}

/* Make an object that holds size shorter, or leave it. */
static void *shrink(struct goalloc_heap *heap, void *p, const struct ga_slot *slot,
                    size_t old_bytes, size_t size)
{
    bool stays_large = (slot->entry & GA_ENTRY_LARGE) && size > GA_SMALL_MAX;
    if (stays_large && is_worth_shrinking(slot, size) && resize_large(heap, slot, size))
        return p;
    if (fits_in_place(p, slot, old_bytes, size))
        return p;
    int saved_errno = errno;
    void *moved = alloc_like(heap, slot, size);
    if (moved)
        return move(heap, p, size, moved);
    errno = saved_errno; /* to shrink is no reason to fail */
    return p;
}

void *goalloc_realloc(struct goalloc_heap *heap, void *p, size_t size)
{
    if (!p)
        return goalloc_malloc(heap, size);
    struct ga_slot slot;
    size_t known = find_known(heap, p, &slot);
    if (size <= known && size > known / 2)
        return p; /* as fits_in_place would say */
    if (!known && has_room(heap, p, size))
        return p;
    if (!known && !find_in_use(heap, "goalloc_realloc", p, &slot)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        goalloc_free(heap, p);
        return NULL;
    }
    size_t old_bytes = known ? known : ga_lookup_bytes(heap, &slot);
    return size > old_bytes ? grow(heap, p, &slot, old_bytes, size)
                            : shrink(heap, p, &slot, old_bytes, size);
}

size_t goalloc_usable_size(struct goalloc_heap *heap, const void *p)
{
    struct ga_slot slot;
    size_t known = p ? find_known(heap, p, &slot) : 0;
    if (known)
        return known;
    if (!p || !find_in_use(heap, "goalloc_usable_size", p, &slot))
        return 0;
    return ga_lookup_bytes(heap, &slot);
}

bool goalloc_contains(struct goalloc_heap *heap, const void *p)
{
    return (uintptr_t)p - heap->base < heap->reserve_bytes;
}
