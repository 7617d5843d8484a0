/* The client's channel (client/channel.h) where the server is the heap core in the same process:
 * what would be a message is a call, under a lock. Nothing is packed, and a reply lies in memory of
 * the thread's own, since a thread has one at a time. */
#include "own_heap.h"

#include <errno.h>
#include <time.h>

#include "server/heap.h"

#define PERIOD_MS        1000u
#define RELEASES_AT_ONCE 8u /* of 4 MiB each, about */

struct ga_reply {
    Goalloc__V1__Envelope message;
    union {
        Goalloc__V1__Done done;
        Goalloc__V1__Mcache mcache;
        Goalloc__V1__Leases leases;
        Goalloc__V1__LargeSpan large_span;
    } body;
    ga_page_id pages[GA_LEASE_MAX];
};

static _Thread_local struct ga_reply the_reply __attribute__((tls_model("initial-exec")));

static pthread_mutex_t core_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ga_heap *core;
static ga_client_id client;
static uint64_t period_ms; /* when the last one began */

void ga_own_server_init(struct ga_heap *heap, uint32_t number, uint64_t now_ms)
{
    core = heap;
    client = number;
    period_ms = now_ms;
}

void ga_own_server_lock(void)
{
    pthread_mutex_lock(&core_lock);
}

void ga_own_server_unlock(void)
{
    pthread_mutex_unlock(&core_lock);
}

void ga_own_server_mcache_gone(ga_mcache_id mcache)
{
    ga_heap_mcache_gone(core, client, mcache);
}

struct ga_heap *ga_own_server_leave(void)
{
    ga_heap_client_gone(core, client);
    ga_heap_sweep_pending(core);
    return core;
}

/* ---- giving memory back ---- */

/* Once a second, when somebody comes by: what was free all the while goes back to the system, a
 * part at a time. */
static void scavenge(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (now_ms - period_ms < PERIOD_MS)
        return;
    period_ms = now_ms;
    ga_heap_next_period(core);
    struct ga_page_run runs[GA_RELEASE_RUNS];
    for (uint32_t i = 0; i < RELEASES_AT_ONCE; i++) {
        uint32_t nruns = ga_heap_begin_release(core, runs);
        if (nruns == 0)
            return;
        for (uint32_t run = 0; run < nruns; run++)
            ga_heap_end_release(core, run,
                                ga_own_heap_punch(runs[run].page * GA_PAGE_SIZE,
                                                  runs[run].npages * GA_PAGE_SIZE) == 0);
    }
}

uint64_t ga_own_server_release(uint64_t pad)
{
    struct ga_heap_stats stats;
    uint64_t released = 0;
    ga_own_server_lock();
    ga_heap_sweep_pending(core);
    ga_heap_get_stats(core, &stats);
    uint64_t idle = stats.heap_idle_bytes - stats.heap_released_bytes;
    if (idle > pad)
        released = ga_heap_release_now(core, idle - pad);
    ga_own_server_unlock();
    return released;
}

void ga_own_server_get_stats(struct ga_heap_stats *ret)
{
    ga_own_server_lock();
    ga_heap_sweep_pending(core);
    ga_heap_get_stats(core, ret);
    ga_own_server_unlock();
}

/* ---- requests ---- */

static int new_mcache(struct ga_reply *reply)
{
    goalloc__v1__mcache__init(&reply->body.mcache);
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_MCACHE;
    reply->message.mcache = &reply->body.mcache;
    return ga_heap_new_mcache(core, client, &reply->body.mcache.mcache);
}

static int lease(const Goalloc__V1__Lease *wanted, struct ga_reply *reply)
{
    uint32_t count = 0;
    int r = ga_heap_lease(core, client, wanted->mcache, (ga_span_class)wanted->span_class,
                          wanted->count, reply->pages, &count);
    goalloc__v1__leases__init(&reply->body.leases);
    reply->body.leases.pages = reply->pages;
    reply->body.leases.n_pages = count;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_LEASES;
    reply->message.leases = &reply->body.leases;
    return r;
}

static int large_alloc(const Goalloc__V1__LargeAlloc *wanted, struct ga_reply *reply)
{
    Goalloc__V1__LargeSpan *span = &reply->body.large_span;
    goalloc__v1__large_span__init(span);
    span->mcache = wanted->mcache;
    bool zeroed = false;
    int r = ga_heap_large_alloc(core, client, wanted->mcache, wanted->size_bytes, wanted->alignment,
                                wanted->noscan, &span->page, &zeroed);
    span->zeroed = zeroed;
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN;
    reply->message.large_span = span;
    return r;
}

static int done(struct ga_reply *reply)
{
    goalloc__v1__done__init(&reply->body.done);
    reply->message.body_case = GOALLOC__V1__ENVELOPE__BODY_DONE;
    reply->message.done = &reply->body.done;
    return 0;
}

static int answer(const Goalloc__V1__Envelope *request, struct ga_reply *reply)
{
    switch (request->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE:
        return new_mcache(reply);
    case GOALLOC__V1__ENVELOPE__BODY_LEASE:
        return lease(request->lease, reply);
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC:
        return large_alloc(request->large_alloc, reply);
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_RESIZE: {
        int r = ga_heap_large_resize(core, client, request->large_resize->page,
                                     request->large_resize->size_bytes);
        return r < 0 ? r : done(reply);
    }
    case GOALLOC__V1__ENVELOPE__BODY_PROFILE_ROOM: {
        int r = ga_heap_profile_room(core, client);
        return r < 0 ? r : done(reply);
    }
    case GOALLOC__V1__ENVELOPE__BODY_SYNC:
        return done(reply);
    default:
        return -ENOTSUP;
    }
}

static int call(const Goalloc__V1__Envelope *request, Goalloc__V1__Envelope__BodyCase expected,
                struct ga_reply **ret)
{
    struct ga_reply *reply = &the_reply;
    ga_own_heap_meet_server();
    goalloc__v1__envelope__init(&reply->message);
    ga_own_server_lock();
    int r = answer(request, reply);
    /* A lease begins before anybody else can be given the span, as with a server. */
    if (r == 0)
        ga_grants_on_reply(&reply->message, true, ga_own_heap());
    scavenge();
    ga_own_server_unlock();
    *ret = reply;
    return r == 0 && reply->message.body_case != expected ? -EPROTO : r;
}

int ga_channel_call(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                    Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                    struct ga_reply **ret_reply)
{
    (void)ch;
    (void)ret_detail;
    return call(request, expected, ret_reply);
}

int ga_channel_call_within(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                           uint32_t timeout_ms, Goalloc__V1__Envelope__BodyCase expected,
                           char *ret_detail, struct ga_reply **ret_reply)
{
    (void)timeout_ms;
    return ga_channel_call(ch, request, expected, ret_detail, ret_reply);
}

int ga_channel_call_once(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                         Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                         struct ga_reply **ret_reply)
{
    return ga_channel_call(ch, request, expected, ret_detail, ret_reply);
}

int ga_channel_call_once_until(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                               const struct timespec *deadline,
                               Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                               struct ga_reply **ret_reply)
{
    (void)deadline;
    return ga_channel_call(ch, request, expected, ret_detail, ret_reply);
}

int ga_channel_await(struct ga_channel *ch, const struct timespec *deadline)
{
    (void)ch;
    (void)deadline;
    return 0;
}

const Goalloc__V1__Envelope *ga_reply_message(const struct ga_reply *reply)
{
    return &reply->message;
}

void ga_reply_release(struct ga_reply *reply)
{
    (void)reply;
}

/* ---- notes ---- */

static void take_note(const Goalloc__V1__Envelope *note)
{
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS)
        for (size_t i = 0; i < note->return_spans->n_pages; i++)
            (void)ga_heap_return(core, client, note->return_spans->mcache,
                                 note->return_spans->pages[i]);
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE)
        for (size_t i = 0; i < note->large_free->n_pages; i++)
            ga_heap_sweep_page(core, note->large_free->pages[i]);
}

int ga_channel_note(struct ga_channel *ch, Goalloc__V1__Envelope *note)
{
    (void)ch;
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_LEASE_AHEAD)
        return -ENOTSUP; /* asked for when it is needed, it is there at once */
    ga_own_server_lock();
    take_note(note);
    scavenge();
    ga_own_server_unlock();
    return 0;
}
