/* Roots: objects that are found by name. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "client/heap.h"

static int check_name(const char *name)
{
    if (!name || name[0] == '\0')
        return -EINVAL;
    return strlen(name) > GOALLOC_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int call(struct goalloc_heap *heap, Goalloc__V1__Envelope *request,
                Goalloc__V1__Envelope__BodyCase expected, struct ga_reply **ret)
{
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    return r < 0 ? r : ga_channel_call(channel, request, expected, NULL, ret);
}

int goalloc_publish(struct goalloc_heap *heap, const char *name, void *p)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    if (!ga_lookup_is_object(heap, p))
        return -EINVAL;
    Goalloc__V1__Publish body = GOALLOC__V1__PUBLISH__INIT;
    body.name = (char *)(uintptr_t)name; /* protobuf-c's fields are not const; it is only read */
    body.offset = (uintptr_t)p - heap->base;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_PUBLISH;
    request.publish = &body;
    r = ga_change(heap, &request);
    ga_busy_keep(p);
    return r;
}

int goalloc_replace(struct goalloc_heap *heap, const char *name, void *p, void **ret_old)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    if (!ga_lookup_is_object(heap, p))
        return -EINVAL;
    Goalloc__V1__Replace body = GOALLOC__V1__REPLACE__INIT;
    body.name = (char *)(uintptr_t)name;
    body.offset = (uintptr_t)p - heap->base;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_REPLACE;
    request.replace = &body;
    struct ga_reply *reply;
    r = ga_change_call(heap, &request, GOALLOC__V1__ENVELOPE__BODY_REPLACED, &reply);
    ga_busy_keep(p);
    if (r < 0)
        return r;
    uint64_t old_offset = ga_reply_message(reply)->replaced->old_offset;
    ga_reply_release(reply);
    if (old_offset >= heap->reserve_bytes)
        return -EPROTO;
    *ret_old = old_offset ? (char *)heap->base + old_offset : NULL;
    return 0;
}

/* Take the pointer out of the server's answer, which is released. */
static int take_root(const struct goalloc_heap *heap, struct ga_reply *reply, void **ret_p)
{
    uint64_t offset = ga_reply_message(reply)->root->offset;
    ga_reply_release(reply);
    if (offset == 0 || offset >= heap->reserve_bytes)
        return -EPROTO;
    *ret_p = (char *)heap->base + offset;
    return 0;
}

int goalloc_lookup(struct goalloc_heap *heap, const char *name, void **ret_p)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    Goalloc__V1__Lookup body = GOALLOC__V1__LOOKUP__INIT;
    body.name = (char *)(uintptr_t)name;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LOOKUP;
    request.lookup = &body;
    struct ga_reply *reply;
    r = call(heap, &request, GOALLOC__V1__ENVELOPE__BODY_ROOT, &reply);
    return r < 0 ? r : take_root(heap, reply, ret_p);
}

/* The server forgets a wait that nobody waits for any more; if it cannot be told, the connection is
 * gone, and the wait with it. */
static void stop_waiting(struct ga_channel *channel, uint64_t id)
{
    Goalloc__V1__StopWaiting body = GOALLOC__V1__STOP_WAITING__INIT;
    body.id = id;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_STOP_WAITING;
    note.stop_waiting = &body;
    (void)ga_channel_note(channel, &note);
}

int goalloc_wait(struct goalloc_heap *heap, const char *name, uint32_t timeout_ms, void **ret_p)
{
    if (timeout_ms == 0)
        return goalloc_lookup(heap, name, ret_p);
    int r = check_name(name);
    if (r < 0)
        return r;
    struct ga_channel *channel;
    r = ga_attach_channel(heap, &channel);
    if (r < 0)
        return r;
    Goalloc__V1__Wait body = GOALLOC__V1__WAIT__INIT;
    body.name = (char *)(uintptr_t)name;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_WAIT;
    request.wait = &body;
    struct ga_reply *reply;
    static_assert(GOALLOC_FOR_EVER == GA_CHANNEL_FOR_EVER, "for ever is the same to both");
    r = ga_channel_call_within(channel, &request, timeout_ms, GOALLOC__V1__ENVELOPE__BODY_ROOT,
                               NULL, &reply);
    if (r == -ETIMEDOUT)
        stop_waiting(channel, request.id);
    return r < 0 ? r : take_root(heap, reply, ret_p);
}

int goalloc_unpublish(struct goalloc_heap *heap, const char *name)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    Goalloc__V1__Unpublish body = GOALLOC__V1__UNPUBLISH__INIT;
    body.name = (char *)(uintptr_t)name;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_UNPUBLISH;
    request.unpublish = &body;
    return ga_change(heap, &request);
}
