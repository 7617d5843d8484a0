/* Whether there is a connection: a word that callers wait on, as long as there is none. It counts
 * its changes, so that a caller whose call has come to nothing can wait for the next. */
#ifndef GA_CLIENT_LINK_H
#define GA_CLIENT_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum ga_link_state {
    GA_LINK_UP = 0,
    GA_LINK_DOWN = 1, /* it is being made anew */
    GA_LINK_OVER = 2, /* it never will be again */
};

struct ga_link {
    _Atomic uint32_t word; /* changes * 4 + state; a futex */
    _Atomic bool wanted;   /* somebody has begun to wait since ga_link_take_wanted */
    _Atomic uint32_t nwaiting;
};

static inline enum ga_link_state ga_link_state_of(uint32_t word)
{
    return (enum ga_link_state)(word & 3);
}

/* What the word is now. */
uint32_t ga_link_look(const struct ga_link *link);

/* Change the state and wake all who wait; GA_LINK_OVER is never changed. Thread-safe. */
void ga_link_set(struct ga_link *link, enum ga_link_state state);

/* Wait until the word is another than seen, or deadline (CLOCK_MONOTONIC) is over: 0 or -ETIMEDOUT.
 */
int ga_link_wait(struct ga_link *link, uint32_t seen, const struct timespec *deadline);

/* Say that somebody begins to wait, and does no longer. */
void ga_link_begin_waiting(struct ga_link *link);
void ga_link_end_waiting(struct ga_link *link);
/* Whether somebody has begun to since this was last asked, and whether anybody does. */
bool ga_link_take_wanted(struct ga_link *link);
bool ga_link_is_waited_for(const struct ga_link *link);

#endif
