/* Waiting calls: a list under a lock, and a futex in each call. The lock says who may touch a call:
 * while it is in the list anybody who holds the lock, after that its caller alone. So completing
 * takes it out of the list, writes the result and sets done, all under the lock; done is the last
 * touch, because the caller may see it at once and return, and its stack with it. The wake-up that
 * follows uses only the address, which at worst wakes somebody else for nothing.
 *
 * A futex rather than a condition variable: the caller need not take the lock again to look at its
 * result, which would make it wait for the thread that has just woken it. */
#include "client/pending_call.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Wait while *word is 0, until deadline. Returns early for no reason now and then. */
static int futex_wait(_Atomic uint32_t *word, const struct timespec *deadline)
{
    /* FUTEX_WAIT_BITSET is the variant whose timeout is a moment of CLOCK_MONOTONIC. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, deadline, NULL,
                FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    return errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void ga_calls_init(struct ga_calls *calls, uint64_t last_id)
{
    *calls = (struct ga_calls){.lock = PTHREAD_MUTEX_INITIALIZER, .last_id = last_id};
}

void ga_calls_fini(struct ga_calls *calls)
{
    pthread_mutex_destroy(&calls->lock);
}

int ga_calls_begin(struct ga_calls *calls, struct ga_pending_call *call, struct ga_reply *empty)
{
    int r = 0;
    *call = (struct ga_pending_call){.reply = empty};
    pthread_mutex_lock(&calls->lock);
    if (calls->ended) {
        r = -ENOTCONN;
    } else {
        call->id = ++calls->last_id;
        call->previous = calls->last;
        if (calls->last)
            calls->last->next = call;
        else
            calls->first = call;
        calls->last = call;
    }
    pthread_mutex_unlock(&calls->lock);
    return r;
}

/* Take call, which is in the list, out of it; with the lock held. */
static void unlink_call(struct ga_calls *calls, struct ga_pending_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        calls->first = call->next;
    if (call->next)
        call->next->previous = call->previous;
    else
        calls->last = call->previous;
}

/* Complete call, which is in the list; with the lock held. The caller may return from here on. */
static void complete(struct ga_calls *calls, struct ga_pending_call *call, int error)
{
    unlink_call(calls, call);
    call->error = error;
    /* Pairs with the acquire in ga_calls_wait: who sees done sees the result. */
    atomic_store_explicit(&call->done, 1, memory_order_release);
}

/* Complete call with *reply, in exchange for what its caller has brought; likewise. */
static void complete_with(struct ga_calls *calls, struct ga_pending_call *call,
                          struct ga_reply **reply)
{
    struct ga_reply *empty = call->reply;
    call->reply = *reply;
    *reply = empty;
    complete(calls, call, 0);
}

/* Take call out of the list unless it has been completed. Returns whether it has. */
static bool give_up(struct ga_calls *calls, struct ga_pending_call *call)
{
    pthread_mutex_lock(&calls->lock);
    /* Written under the lock, so no other order is needed. */
    bool done = atomic_load_explicit(&call->done, memory_order_relaxed) != 0;
    if (!done)
        unlink_call(calls, call);
    pthread_mutex_unlock(&calls->lock);
    return done;
}

int ga_calls_wait(struct ga_calls *calls, struct ga_pending_call *call,
                  const struct timespec *deadline)
{
    /* Pairs with the release in complete. */
    while (atomic_load_explicit(&call->done, memory_order_acquire) == 0)
        if (futex_wait(&call->done, deadline) == -ETIMEDOUT) {
            if (give_up(calls, call))
                break;
            return -ETIMEDOUT;
        }
    return call->error;
}

void ga_calls_cancel(struct ga_calls *calls, struct ga_pending_call *call)
{
    (void)give_up(calls, call);
}

bool ga_calls_complete(struct ga_calls *calls, uint64_t id, struct ga_reply **reply)
{
    pthread_mutex_lock(&calls->lock);
    struct ga_pending_call *call = calls->first;
    while (call && call->id != id)
        call = call->next;
    if (calls->on_reply)
        calls->on_reply(*reply, call, calls->data);
    if (call)
        complete_with(calls, call, reply);
    pthread_mutex_unlock(&calls->lock);
    if (call)
        futex_wake(&call->done);
    return call != NULL;
}

void ga_calls_stop_on_reply(struct ga_calls *calls)
{
    pthread_mutex_lock(&calls->lock);
    calls->on_reply = NULL;
    pthread_mutex_unlock(&calls->lock);
}

void ga_calls_resume(struct ga_calls *calls)
{
    pthread_mutex_lock(&calls->lock);
    calls->ended = false;
    pthread_mutex_unlock(&calls->lock);
}

void ga_calls_end(struct ga_calls *calls, int error)
{
    pthread_mutex_lock(&calls->lock);
    calls->ended = true;
    while (calls->first) {
        struct ga_pending_call *call = calls->first;
        complete(calls, call, error);
        futex_wake(&call->done);
    }
    pthread_mutex_unlock(&calls->lock);
}
