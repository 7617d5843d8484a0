/* The client's channel (client/channel.h) where the server is the heap core in the same process:
 * what would be a message is a call, under a lock. Nothing is packed, and a reply lies in memory of
 * the thread's own, since a thread has one at a time. */
#include "own_heap.h"

#include <errno.h>

#include "proto/own_core.h"

struct ga_reply {
    struct ga_own_reply own;
};

static _Thread_local struct ga_reply the_reply __attribute__((tls_model("initial-exec")));

static pthread_mutex_t core_lock = PTHREAD_MUTEX_INITIALIZER;

void ga_own_server_lock(void)
{
    pthread_mutex_lock(&core_lock);
}

void ga_own_server_unlock(void)
{
    pthread_mutex_unlock(&core_lock);
}

/* With the lock held. */
static void tick(void)
{
    if (ga_own_core_tick())
        ga_fetch_add_relaxed(&ga_own_heap()->unneeded_count, 1);
}

/* ---- requests ---- */

static int call(const Goalloc__V1__Envelope *request, Goalloc__V1__Envelope__BodyCase expected,
                struct ga_reply **ret)
{
    struct ga_reply *reply = &the_reply;
    ga_own_heap_meet_server();
    ga_own_server_lock();
    int r = ga_own_core_answer(request, &reply->own);
    /* A lease begins before anybody else can be given the span, as with a server. */
    if (r == 0)
        ga_grants_on_reply(&reply->own.message, true, ga_own_heap());
    tick();
    ga_own_server_unlock();
    *ret = reply;
    return r == 0 && reply->own.message.body_case != expected ? -EPROTO : r;
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
    return &reply->own.message;
}

void ga_reply_release(struct ga_reply *reply)
{
    (void)reply;
}

/* ---- notes ---- */

int ga_channel_note(struct ga_channel *ch, Goalloc__V1__Envelope *note)
{
    (void)ch;
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_LEASE_AHEAD)
        return -ENOTSUP; /* asked for when it is needed, it is there at once */
    ga_own_heap_meet_server();
    ga_own_server_lock();
    ga_own_core_take_note(note);
    tick();
    ga_own_server_unlock();
    return 0;
}
