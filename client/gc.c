/* Collections, which the server makes. */
#include <errno.h>
#include <stdio.h>

#include "client/heap.h"

#define MODE_FULL 2u

static void fill(const Goalloc__V1__GcResult *body, struct goalloc_gc_result *ret)
{
    *ret = (struct goalloc_gc_result){.size = sizeof(*ret),
                                      .cycle = body->cycle,
                                      .found = body->found_objects,
                                      .found_bytes = body->found_bytes,
                                      .garbage = body->garbage_objects,
                                      .garbage_bytes = body->garbage_bytes,
                                      .freed = body->freed_objects,
                                      .freed_bytes = body->freed_bytes,
                                      .roots = body->roots,
                                      .roots_outside = body->roots_outside,
                                      .mark_ns = body->mark_ns,
                                      .sweep_ns = body->sweep_ns};
    snprintf(ret->failure, sizeof(ret->failure), "%s", body->failure);
}

int goalloc_gc(struct goalloc_heap *heap, struct goalloc_gc_result *result)
{
    if (result && result->size != sizeof(*result))
        return -EINVAL;
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    if (r < 0)
        return r;
    Goalloc__V1__Gc body = GOALLOC__V1__GC__INIT;
    body.mode = MODE_FULL;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GC;
    request.gc = &body;
    struct ga_reply *reply;
    r = ga_channel_call(channel, &request, GOALLOC__V1__ENVELOPE__BODY_GC_RESULT, NULL, &reply);
    if (r < 0)
        return r;
    const Goalloc__V1__GcResult *answer = ga_reply_message(reply)->gc_result;
    if (result)
        fill(answer, result);
    r = answer->failure[0] ? -ECANCELED : 0;
    ga_reply_release(reply);
    return r;
}
