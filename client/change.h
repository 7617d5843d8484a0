/* Requests that the server carries out once, however often they are sent. It notes an answer in one
 * of the few places that it has for each client; a place is for one request at a time, so who finds
 * none waits for another thread's answer. */
#ifndef GA_CLIENT_CHANGE_H
#define GA_CLIENT_CHANGE_H

#include <stdint.h>
#include <time.h>

#include "client/channel.h"

struct goalloc_heap;

/* The places for answers: a bit of each says that it is taken. All 0 = none is. */
struct ga_places {
    _Atomic uint32_t taken; /* a futex */
};

/* Take a place until deadline (CLOCK_MONOTONIC): its index, or -ETIMEDOUT. Thread-safe. */
int ga_places_take(struct ga_places *places, const struct timespec *deadline);
void ga_places_give(struct ga_places *places, int place);

/* As ga_channel_call, on heap's channel, with a request that changes roots or holds: it has been
 * carried out once if this returns 0, and not at all if it returns an error, but for -ETIMEDOUT and
 * -ENOTCONN, which do not say. */
int ga_change_call(struct goalloc_heap *heap, Goalloc__V1__Envelope *request,
                   Goalloc__V1__Envelope__BodyCase expected, struct ga_reply **ret_reply);
/* The same where the answer is Done. */
int ga_change(struct goalloc_heap *heap, Goalloc__V1__Envelope *request);

#endif
