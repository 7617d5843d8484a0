/* Pauses: this process says that it uses the heap no more, so that somebody can copy it, and goes
 * on when that is done. The server keeps it in mind, and is told again when it is another; the
 * library itself writes nothing to the heap meanwhile: the server asks a paused process for
 * nothing, and threads that exit leave their caches as they are. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/deadline.h"
#include "client/heap.h"
#include "client/uncancelled.h"

void ga_pause_set_wanted(struct goalloc_heap *heap, enum ga_pause_wanted wanted)
{
    ga_store_release(&heap->pause_wanted, wanted);
    syscall(SYS_futex, &heap->pause_wanted, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL,
            0);
}

void ga_pause_reset(struct goalloc_heap *heap)
{
    pthread_mutex_init(&heap->pausing, NULL);
    ga_store_relaxed(&heap->paused, false);
    ga_store_relaxed(&heap->pause_wanted, GA_PAUSE_NOT_WANTED);
}

static int call(struct ga_channel *channel, Goalloc__V1__Envelope *request, uint32_t timeout_ms)
{
    struct ga_reply *reply;
    int r = ga_channel_call_within(channel, request, timeout_ms, GOALLOC__V1__ENVELOPE__BODY_DONE,
                                   NULL, &reply);
    if (r == 0)
        ga_reply_release(reply);
    return r;
}

/* From before it is said, so that a server that is new meanwhile hears of it in any case. */
static int pause_heap(struct goalloc_heap *heap)
{
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    if (r < 0)
        return r;
    ga_xchg_seq_cst(&heap->paused, true);
    Goalloc__V1__Pause body = GOALLOC__V1__PAUSE__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_PAUSE;
    request.pause = &body;
    r = call(channel, &request, heap->timeout_ms);
    if (r < 0 && r != -ETIMEDOUT)
        ga_xchg_seq_cst(&heap->paused, false);
    return r;
}

/* A server that is told of the pause with a Reattach, between the answer and our taking note of it,
 * has to be told of its end as well. */
static int resume_heap(struct goalloc_heap *heap)
{
    struct ga_channel *channel;
    int r = ga_attach_channel(heap, &channel);
    uint32_t told = 0;
    while (r == 0) {
        told = ga_load_seq_cst(&heap->reattach_count);
        Goalloc__V1__Resume body = GOALLOC__V1__RESUME__INIT;
        Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
        request.body_case = GOALLOC__V1__ENVELOPE__BODY_RESUME;
        request.resume = &body;
        r = call(channel, &request, GA_CHANNEL_FOR_EVER);
        if (r == 0 || r == -ENOTCONN)
            ga_xchg_seq_cst(&heap->paused, false);
        if (ga_load_seq_cst(&heap->reattach_count) == told)
            break;
    }
    return r;
}

static int change(struct goalloc_heap *heap, int (*how)(struct goalloc_heap *heap))
{
    GA_UNCANCELLED; /* or the thread would take the lock with it */
    ga_registry_meet_copy(heap);
    uint8_t before = ga_busy_begin_wait(NULL); /* perhaps for one who resumes */
    pthread_mutex_lock(&heap->pausing);
    ga_busy_end_wait(before);
    int r = how(heap);
    pthread_mutex_unlock(&heap->pausing);
    return r;
}

int goalloc_pause(struct goalloc_heap *heap)
{
    return change(heap, pause_heap);
}

int goalloc_resume(struct goalloc_heap *heap)
{
    return change(heap, resume_heap);
}

static int wait_until(struct goalloc_heap *heap, const struct timespec *deadline)
{
    while (ga_load_acquire(&heap->pause_wanted) == GA_PAUSE_NOT_WANTED)
        /* FUTEX_WAIT_BITSET is the variant whose timeout is a moment of CLOCK_MONOTONIC. */
        if (syscall(SYS_futex, &heap->pause_wanted, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
                    GA_PAUSE_NOT_WANTED, deadline, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
            errno == ETIMEDOUT)
            return -ETIMEDOUT;
    return 0;
}

int goalloc_wait_pause_wanted(struct goalloc_heap *heap, uint32_t timeout_ms)
{
    int r = 0;
    if (timeout_ms > 0) {
        struct ga_channel *channel;
        struct timespec deadline = ga_deadline_in(timeout_ms);
        r = ga_attach_channel(heap, &channel); /* nobody asks a child that is not attached */
        if (r == 0)
            r = wait_until(heap, timeout_ms == GOALLOC_FOR_EVER ? NULL : &deadline);
    }
    uint32_t wanted = ga_load_acquire(&heap->pause_wanted);
    if (wanted == GA_PAUSE_NEVER)
        return -ENOTCONN;
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    return wanted == GA_PAUSE_WANTED ? 0 : -ETIMEDOUT;
}
