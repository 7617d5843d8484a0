/* No call of the library is a cancellation point (pthread_cancel): a thread that ended in the
 * middle of one would leave half of it done, or a lock locked. */
#ifndef GA_CLIENT_UNCANCELLED_H
#define GA_CLIENT_UNCANCELLED_H

#include <pthread.h>

static inline int ga_cancel_disable(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}

static inline void ga_cancel_restore(const int *state)
{
    pthread_setcancelstate(*state, NULL);
}

/* As a declaration: from here to the end of the block the thread is not cancelled. */
#define GA_UNCANCELLED                                                                             \
    __attribute__((cleanup(ga_cancel_restore), unused)) const int ga_cancel_state =                \
        ga_cancel_disable()

#endif
