/* Statistics: the server's counts, under the names of the public struct. */
#include <errno.h>

#include "client/heap.h"

static_assert(GOALLOC_SIZE_CLASS_COUNT == GA_SIZE_CLASS_COUNT, "the public struct has every class");

static void fill_own(const Goalloc__V1__ClientStats *own, struct goalloc_memstats *ret)
{
    ret->own_mallocs = own->mallocs;
    ret->own_frees = own->frees;
    ret->own_total_alloc = own->alloc_bytes;
    ret->own_total_free = own->free_bytes;
    ret->own_mcaches = own->mcaches;
    ret->own_leased_spans = own->leased_spans;
    ret->own_leased_bytes = own->leased_bytes;
    for (size_t i = 0; i < own->n_by_class; i++) {
        const Goalloc__V1__ClientClassStats *class = own->by_class[i];
        if (class->size_class >= GOALLOC_SIZE_CLASS_COUNT)
            continue;
        ret->own_by_size[class->size_class].mallocs = class->mallocs;
        ret->own_by_size[class->size_class].frees = class->frees;
    }
}

static void fill(const Goalloc__V1__Stats *s, struct goalloc_memstats *ret)
{
    *ret = (struct goalloc_memstats){
        .size = sizeof(*ret),
        .alloc = s->alloc_bytes,
        .total_alloc = s->total_alloc_bytes,
        .sys = s->sys_bytes,
        .mallocs = s->mallocs,
        .frees = s->frees,
        .heap_alloc = s->alloc_bytes,
        .heap_sys = s->heap_sys_bytes,
        .heap_idle = s->heap_idle_bytes,
        .heap_released = s->heap_released_bytes,
        .heap_inuse = s->heap_inuse_bytes,
        .heap_objects = s->heap_objects,
        .mspan_inuse = s->mspan_inuse_bytes,
        .mspan_sys = s->mspan_sys_bytes,
        .mcache_inuse = s->mcache_inuse_bytes,
        .mcache_sys = s->mcache_sys_bytes,
        .other_sys = s->other_sys_bytes,
        .spans = s->spans_inuse,
        .leased_spans = s->spans_leased,
        .leased_bytes = s->leased_bytes,
    };
    for (uint32_t c = 0; c < GOALLOC_SIZE_CLASS_COUNT; c++)
        ret->by_size[c].size = ret->own_by_size[c].size = ga_size_classes[c].size;
    for (size_t i = 0; i < s->n_by_class; i++) {
        const Goalloc__V1__ClassStats *class = s->by_class[i];
        if (class->size_class >= GOALLOC_SIZE_CLASS_COUNT)
            continue;
        ret->by_size[class->size_class].mallocs = class->mallocs;
        ret->by_size[class->size_class].frees = class->frees;
    }
    if (s->cycles) {
        ret->num_gc = s->cycles->count;
        ret->next_gc = s->cycles->next_bytes;
        ret->last_gc = s->cycles->last_end_ms;
        ret->pause_ns = s->cycles->pause_ns;
        ret->pause_total_ns = s->cycles->pause_total_ns;
    }
    if (s->own)
        fill_own(s->own, ret);
}

int goalloc_memstats(struct goalloc_heap *heap, struct goalloc_memstats *stats)
{
    if (stats->size != sizeof(*stats))
        return -EINVAL;
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    if (r < 0)
        return r;
    Goalloc__V1__GetStats body = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    request.get_stats = &body;
    struct ga_reply *reply;
    r = ga_channel_call(channel, &request, GOALLOC__V1__ENVELOPE__BODY_STATS, NULL, &reply);
    if (r < 0)
        return r;
    fill(ga_reply_message(reply)->stats, stats);
    ga_reply_release(reply);
    return 0;
}
