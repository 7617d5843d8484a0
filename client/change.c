#include "client/change.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/deadline.h"
#include "client/heap.h"
#include "client/uncancelled.h"

#define ALL_TAKEN ((UINT32_C(1) << GA_OUTCOME_COUNT) - 1)

int ga_places_take(struct ga_places *places, const struct timespec *deadline)
{
    uint32_t taken = ga_load_relaxed(&places->taken);
    for (;;) {
        if (taken != ALL_TAKEN) {
            int place = __builtin_ctz(~taken);
            if (atomic_compare_exchange_weak(&places->taken, &taken, taken | UINT32_C(1) << place))
                return place;
            continue;
        }
        /* FUTEX_WAIT_BITSET is the variant whose timeout is a moment of CLOCK_MONOTONIC. */
        uint8_t before = ga_busy_begin_wait(NULL);
        bool is_over = syscall(SYS_futex, &places->taken, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
                               ALL_TAKEN, deadline, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
                       errno == ETIMEDOUT;
        ga_busy_end_wait(before);
        if (is_over)
            return -ETIMEDOUT;
        taken = ga_load_relaxed(&places->taken);
    }
}

void ga_places_give(struct ga_places *places, int place)
{
    if (ga_fetch_and_seq_cst(&places->taken, ~(UINT32_C(1) << place)) == ALL_TAKEN)
        syscall(SYS_futex, &places->taken, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

static int call_in_place(struct goalloc_heap *heap, Goalloc__V1__Envelope *request,
                         Goalloc__V1__Envelope__BodyCase expected, struct ga_reply **ret_reply)
{
    struct timespec deadline = ga_deadline_in(heap->timeout_ms);
    struct ga_channel *channel;
    int r = ga_attach_channel_until(heap, &deadline, &channel);
    int place = r < 0 ? r : ga_places_take(&heap->places, &deadline);
    if (place < 0)
        return place;
    request->place = (uint32_t)place + 1;
    r = ga_channel_call_within(channel, request, (uint32_t)ga_deadline_left_ms(&deadline), expected,
                               NULL, ret_reply);
    ga_places_give(&heap->places, place);
    return r;
}

int ga_change_call(struct goalloc_heap *heap, Goalloc__V1__Envelope *request,
                   Goalloc__V1__Envelope__BodyCase expected, struct ga_reply **ret_reply)
{
    GA_UNCANCELLED; /* or the thread would take a place with it */
    return call_in_place(heap, request, expected, ret_reply);
}

int ga_change(struct goalloc_heap *heap, Goalloc__V1__Envelope *request)
{
    struct ga_reply *reply;
    int r = ga_change_call(heap, request, GOALLOC__V1__ENVELOPE__BODY_DONE, &reply);
    if (r == 0)
        ga_reply_release(reply);
    return r;
}
