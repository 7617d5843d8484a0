/* Allocating large objects: from the spans that the thread has kept, or of the server. */
#include <errno.h>
#include <sys/sdt.h>

#include "client/class_cache.h"
#include "client/heap.h"
#include "client/large.h"
#include "client/mcache.h"
#include "client/sampler.h"
#include "client/spans.h"

static int request_large(struct ga_thread_cache *cache, size_t size, size_t alignment, bool noscan,
                         ga_page_id *ret_page, bool *ret_zeroed)
{
    Goalloc__V1__LargeAlloc body = GOALLOC__V1__LARGE_ALLOC__INIT;
    body.mcache = cache->id;
    body.size_bytes = size;
    body.noscan = noscan;
    body.alignment = alignment;
    body.last_ns = cache->lease_ns;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC;
    request.large_alloc = &body;
    struct ga_reply *reply;
    uint64_t from_ns = ga_mcache_begin_request(cache->heap);
    int r = ga_channel_call(cache->heap->channel, &request, GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN,
                            NULL, &reply);
    cache->lease_ns = ga_mcache_request_ns(cache->heap, from_ns);
    DTRACE_PROBE4(goalloc, lease_large, cache->id, size, cache->lease_ns, r);
    if (r < 0)
        return r;
    const Goalloc__V1__LargeSpan *span = ga_reply_message(reply)->large_span;
    if ((uint64_t)span->page << GA_PAGE_SHIFT < cache->heap->reserve_bytes && span->page != 0) {
        *ret_page = span->page;
        *ret_zeroed = span->zeroed;
    } else {
        r = -EPROTO;
    }
    ga_reply_release(reply);
    return r;
}

/* Take the span that the server has granted: as its holder, or with what it was given to us for. */
static void take_large(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    const struct ga_view *view = &cache->heap->view;
    if (ga_mcache_is_granted(cache, span_class, page))
        ga_large_begin_lease(cache, span_class, page);
    /* One that is not leased has been taken when the answer came (grants.c). */
    ga_large_count_malloc(cache, span_class, ga_entry_npages(ga_view_entry(view, page)));
}

/* A span that was kept, or one that is granted now. */
static int get_large(struct ga_thread_cache *cache, size_t size, size_t alignment, bool noscan,
                     ga_page_id *ret_page, bool *ret_zeroed)
{
    ga_span_class span_class = noscan ? 1 : 0;
    uint64_t npages = (size + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    ga_mcache_obey_reclaim(cache);
    if (npages <= GA_LARGE_NPAGES_LEASED && alignment <= GA_PAGE_SIZE) {
        *ret_zeroed = false;
        *ret_page = ga_large_take_kept(cache, span_class, npages);
        if (*ret_page)
            return 0;
        int r = ga_spans_reserve(ga_class_cache_get(cache, span_class), 1);
        if (r < 0)
            return r;
    }
    int r = request_large(cache, size, alignment, noscan, ret_page, ret_zeroed);
    if (r == 0)
        take_large(cache, span_class, *ret_page);
    return r;
}

int ga_alloc_large_span(struct ga_thread_cache *cache, size_t size, size_t alignment, bool noscan,
                        ga_page_id *ret_page, bool *ret_zeroed)
{
    if (size > cache->heap->reserve_bytes)
        return -ENOMEM;
    int r = get_large(cache, size, alignment, noscan, ret_page, ret_zeroed);
    for (unsigned attempt = 0; ga_alloc_relieve(cache, r, attempt); attempt++)
        r = get_large(cache, size, alignment, noscan, ret_page, ret_zeroed);
    return r;
}

/* What an object of size counts in a profile: its pages. */
static uint64_t sampled_size(size_t size)
{
    uint64_t npages = (size + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    return (npages ? npages : 1) * GA_PAGE_SIZE;
}

void *ga_alloc_large(struct goalloc_heap *heap, size_t size, size_t alignment, bool noscan,
                     bool *ret_zeroed)
{
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    ga_page_id page = 0;
    int r = -ENOMEM;
    uint64_t rate = 0;
    bool due = false;
    if (cache)
        r = ga_alloc_large_span(cache, size, alignment, noscan, &page, ret_zeroed);
    if (r == 0)
        due = ga_sampler_is_large_due(cache, sampled_size(size), &rate);
    if (cache)
        ga_thread_cache_put(cache);
    void *p = r < 0 ? NULL : (char *)heap->base + ((uint64_t)page << GA_PAGE_SHIFT);
    p = ga_busy_end_with(p);
    errno = r == 0 ? saved_errno : ENOMEM;
    return due ? ga_profile_note(heap, p, sampled_size(size), rate) : p;
}

void *ga_alloc_large_longest(struct goalloc_heap *heap, size_t size, bool noscan)
{
    uint64_t npages = (size + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    /* Another heap's cache: as in ga_free_quickly_by_other. */
    ga_page_id page = 0;
    uint64_t rate = 0;
    bool due = false;
    if (cache && cache->heap == heap && size <= GA_LARGE_NPAGES_LEASED * GA_PAGE_SIZE)
        page = ga_large_take_longest(cache, noscan ? 1 : 0, npages);
    if (page)
        due = ga_sampler_is_large_due(cache, sampled_size(size), &rate);
    void *p =
        ga_busy_end_with(page ? (char *)heap->base + ((uint64_t)page << GA_PAGE_SHIFT) : NULL);
    return due ? ga_profile_note(heap, p, sampled_size(size), rate) : p;
}
