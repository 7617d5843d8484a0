/* Requests and notes, as the shell's dispatch_*.c have them: but that whoever asks is in the same
 * process, and believed. */
#include <errno.h>

#include "server/own/own_core.h"

static_assert(GA_LEASES_MAX_PAGES >= GA_LEASE_MAX, "a reply has room for all spans of a lease");

static int new_mcache(struct ga_own_reply *reply)
{
    reply->body.mcache = (Goalloc__V1__Mcache)GOALLOC__V1__MCACHE__INIT;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_MCACHE;
    reply->message.mcache = &reply->body.mcache;
    return ga_heap_new_mcache(ga_own_heap_core, ga_own_client, &reply->body.mcache.mcache);
}

static int lease(const Goalloc__V1__Lease *wanted, struct ga_own_reply *reply)
{
    uint32_t count = 0;
    int r = ga_heap_lease(ga_own_heap_core, ga_own_client, wanted->mcache,
                          (ga_span_class)wanted->span_class, wanted->count, reply->pages, &count);
    reply->body.leases = (Goalloc__V1__Leases)GOALLOC__V1__LEASES__INIT;
    reply->body.leases.pages = reply->pages;
    reply->body.leases.n_pages = count;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_LEASES;
    reply->message.leases = &reply->body.leases;
    return r;
}

static int large_alloc(const Goalloc__V1__LargeAlloc *wanted, struct ga_own_reply *reply)
{
    Goalloc__V1__LargeSpan *span = &reply->body.large_span;
    *span = (Goalloc__V1__LargeSpan)GOALLOC__V1__LARGE_SPAN__INIT;
    span->mcache = wanted->mcache;
    bool zeroed = false;
    int r = ga_heap_large_alloc(ga_own_heap_core, ga_own_client, wanted->mcache, wanted->size_bytes,
                                wanted->alignment, wanted->noscan, &span->page, &zeroed);
    span->zeroed = zeroed;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN;
    reply->message.large_span = span;
    return r;
}

/* r: what came of the request. */
static int done(struct ga_own_reply *reply, int r)
{
    reply->body.done = (Goalloc__V1__Done)GOALLOC__V1__DONE__INIT;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_DONE;
    reply->message.done = &reply->body.done;
    return r;
}

int ga_own_core_answer(const Goalloc__V1__Envelope *request, struct ga_own_reply *reply)
{
    reply->message = (Goalloc__V1__Envelope)GOALLOC__V1__ENVELOPE__INIT;
    switch (request->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE:
        return new_mcache(reply);
    case GOALLOC__V1__ENVELOPE__BODY_LEASE:
        return lease(request->lease, reply);
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC:
        return large_alloc(request->large_alloc, reply);
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_RESIZE:
        return done(reply, ga_heap_large_resize(ga_own_heap_core, ga_own_client,
                                                request->large_resize->page,
                                                request->large_resize->size_bytes));
    case GOALLOC__V1__ENVELOPE__BODY_PROFILE_ROOM:
        return done(reply, ga_heap_profile_room(ga_own_heap_core, ga_own_client));
    case GOALLOC__V1__ENVELOPE__BODY_SYNC:
        return done(reply, 0);
    default:
        return -ENOTSUP;
    }
}

void ga_own_core_take_note(const Goalloc__V1__Envelope *note)
{
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS)
        for (size_t i = 0; i < note->return_spans->n_pages; i++)
            (void)ga_heap_return(ga_own_heap_core, ga_own_client, note->return_spans->mcache,
                                 note->return_spans->pages[i]);
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE)
        for (size_t i = 0; i < note->large_free->n_pages; i++)
            ga_heap_sweep_page(ga_own_heap_core, note->large_free->pages[i]);
}
