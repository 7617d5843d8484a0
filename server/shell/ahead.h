/* Memory ahead of demand: what the heap object grows by next gets its memory on a thread of its
 * own, so that neither the loop nor a client that is to be granted spans of it waits for the
 * kernel. It is a 32nd of what is committed, as much as the heap grows by at once, and 4 MiB at
 * most; nothing below 1 MiB. It is the heap's when the heap grows, and given back where memory is
 * short.
 *
 * All of these are called on the loop's thread. */
#ifndef GA_SERVER_SHELL_AHEAD_H
#define GA_SERVER_SHELL_AHEAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/shell/huge.h"
#include "shm/mapping.h"

struct ga_ahead {
    uint64_t committed; /* where the heap ended when it grew last; what is ready begins here */
    uint64_t ready_end; /* nothing is ready where this is no more than committed */
    bool wanted;        /* from ga_ahead_start on */
    bool started;
    pthread_t thread;
    const struct ga_mapping *heap;
    enum ga_huge huge;

    pthread_mutex_t lock; /* over the rest */
    pthread_cond_t changed;
    uint64_t next; /* up to here the thread has come; 0 = nowhere that matters */
    uint64_t goal; /* and up to here it is to go; it has nothing to do where that is no more */
    bool stopping;
};

/* Nothing is done ahead before this, of the heap object, in huge pages or not. *ahead was all zero,
 * and neither moves. The thread begins with the first that it has to do; where it cannot, nothing
 * is done. */
void ga_ahead_start(struct ga_ahead *ahead, const struct ga_mapping *heap, enum ga_huge huge);
/* Give back what is ready, and end the thread. */
void ga_ahead_stop(struct ga_ahead *ahead);

/* The heap is about to commit [offset, offset + bytes). Whether all of that is ready. */
bool ga_ahead_has(struct ga_ahead *ahead, uint64_t offset, uint64_t bytes);

/* The heap is committed up to committed_bytes, and may be up to end: have the next part made ready,
 * if it is not. */
void ga_ahead_go_on(struct ga_ahead *ahead, uint64_t committed_bytes, uint64_t end);

/* Memory below end is about to be punched. The thread may still be at work there, on what has been
 * committed without it meanwhile, and would fill the holes: wait for it then. */
void ga_ahead_keep_off(struct ga_ahead *ahead, uint64_t end);

/* Give back what is ready; waits for the thread. Whether there was any. */
bool ga_ahead_give_up(struct ga_ahead *ahead);

/* How many bytes are known to be ready. */
uint64_t ga_ahead_bytes(const struct ga_ahead *ahead);

#endif
