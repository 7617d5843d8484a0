/* Holds: an object is kept, though somebody frees it, until nobody holds it any more. The server
 * keeps the books (server/holds.c) and shows them in meta; here is the asking, and what becomes of
 * a free in a span where something is held. */
#include <errno.h>

#include "client/heap.h"

int goalloc_hold(struct goalloc_heap *heap, const void *p)
{
    if (!ga_lookup_is_object(heap, p))
        return -EINVAL;
    Goalloc__V1__Hold body = GOALLOC__V1__HOLD__INIT;
    body.offset = (uintptr_t)p - heap->base;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_HOLD;
    request.hold = &body;
    int r = ga_change(heap, &request);
    /* A free that came first may have taken it meanwhile. */
    if (r == 0 && !ga_lookup_is_object(heap, p)) {
        (void)goalloc_release(heap, p);
        return -EINVAL;
    }
    return r == -ENOENT ? -EINVAL : r;
}

int goalloc_release(struct goalloc_heap *heap, const void *p)
{
    if (!goalloc_contains(heap, p))
        return -EINVAL;
    Goalloc__V1__Release body = GOALLOC__V1__RELEASE__INIT;
    body.offset = (uintptr_t)p - heap->base;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_RELEASE;
    request.release = &body;
    int r = ga_change(heap, &request);
    return r == -ENOENT ? -EINVAL : r;
}

/* Whether the table has a record of the object. */
static bool is_held(const struct goalloc_heap *heap, uint64_t offset)
{
    /* Pairs with the server's release: records below it are backed. */
    uint32_t end = ga_load_acquire(&heap->view.meta->hold_end);
    for (uint32_t i = 0; i < end && i < heap->view.counts.holds; i++) {
        const struct ga_hold *hold = &heap->view.holds[i];
        /* Acquire: pairs with the server's release of the state after the offset. */
        if (ga_hold_counts(ga_load_acquire(&hold->state)) &&
            ga_load_relaxed(&hold->offset) == offset)
            return true;
    }
    return false;
}

int ga_holds_put_off(struct goalloc_heap *heap, const void *p, const struct ga_slot *slot)
{
    uint64_t offset = (uintptr_t)p - heap->base;
    if (!is_held(heap, offset) || !ga_lookup_in_use(heap, slot))
        return -ENOENT;
    Goalloc__V1__PutOff body = GOALLOC__V1__PUT_OFF__INIT;
    body.offset = offset;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_PUT_OFF;
    request.put_off = &body;
    return ga_change(heap, &request);
}
