/* No call of the library is a cancellation point (pthread_cancel): a thread that ended in the
 * middle of one would leave half of it done, or a lock locked. */
#ifndef GA_CLIENT_UNCANCELLED_H
#define GA_CLIENT_UNCANCELLED_H

#include <pthread.h>
#include <stdint.h>

#include "shm/atomic.h"

/* In how many such blocks the thread is, one within the other: it may have a lock of the library's
 * there, so it does not stand still for a collection either (managed_stop.h). Writer: the thread.
 */
extern _Thread_local _Atomic uint32_t ga_uncancelled_depth
    __attribute__((tls_model("initial-exec")));

static inline void ga_uncancelled_begin(void)
{
    ga_store_relaxed(&ga_uncancelled_depth, ga_load_relaxed(&ga_uncancelled_depth) + 1);
    atomic_signal_fence(memory_order_seq_cst); /* what is locked from here on is locked within */
}

static inline void ga_uncancelled_end(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    ga_store_relaxed(&ga_uncancelled_depth, ga_load_relaxed(&ga_uncancelled_depth) - 1);
}

static inline int ga_cancel_disable(void)
{
    int state;
    ga_uncancelled_begin();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

static inline void ga_cancel_restore(const int *state)
{
    pthread_setcancelstate(*state, NULL);
    ga_uncancelled_end();
}

/* As a declaration: from here to the end of the block the thread is not cancelled. */
#define GA_UNCANCELLED                                                                             \
    __attribute__((cleanup(ga_cancel_restore), unused)) const int ga_cancel_state =                \
        ga_cancel_disable()

#endif
