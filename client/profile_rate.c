/* How densely this process samples: what its environment says, and what it sets itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/class_cache.h"
#include "client/heap.h"

/* A number of bytes, or with K, M, G or T behind it. */
static bool parse(const char *text, uint64_t *ret)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (text[0] < '0' || text[0] > '9' || errno != 0 || (*end && (!unit || end[1])) ||
        number >= UINT64_MAX >> shift)
        return false;
    *ret = (uint64_t)number << shift;
    return true;
}

bool ga_profile_read_rate(struct goalloc_heap *heap)
{
    const char *text = secure_getenv("GOALLOC_PROFILE_RATE");
    uint64_t rate;
    if (!text || text[0] == '\0')
        return true;
    if (!parse(text, &rate))
        return false;
    ga_store_relaxed(&heap->profiler.rate_plus_1, rate + 1);
    return true;
}

/* The calling thread looks at the rate with the next object of each class. */
static void count_anew(struct goalloc_heap *heap)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    for (uint32_t c = 0; cache && cache->heap == heap && c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (!class)
            continue; /* looks at it when it is made */
        class->list->to_sample = 0;
        class->list->sample_rate = UINT64_MAX; /* its distance is drawn anew */
    }
    ga_busy_end();
}

int goalloc_set_profile_rate(struct goalloc_heap *heap, uint64_t rate_bytes)
{
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    if (r < 0)
        return r;
    uint64_t rate = rate_bytes < UINT64_MAX ? rate_bytes : UINT64_MAX - 1;
    Goalloc__V1__SetProfileRate body = GOALLOC__V1__SET_PROFILE_RATE__INIT;
    body.client = ga_load_relaxed(&heap->client);
    body.rate_bytes = rate;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_SET_PROFILE_RATE;
    request.set_profile_rate = &body;
    struct ga_reply *reply;
    r = ga_channel_call(channel, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, NULL, &reply);
    if (r < 0)
        return r;
    ga_reply_release(reply);
    ga_store_relaxed(&heap->profiler.rate_plus_1, rate + 1);
    count_anew(heap);
    return 0;
}
