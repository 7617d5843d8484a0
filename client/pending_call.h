/* The calls that wait for a reply. A call lies on its caller's stack and is found by its id; ids
 * are never used twice, so a reply that comes after its caller has given up finds nobody.
 *
 * A caller brings memory for a reply, and gets its reply in exchange: so what has been carried out
 * is never answered with a want of memory. */
#ifndef GA_CLIENT_PENDING_CALL_H
#define GA_CLIENT_PENDING_CALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct ga_reply;

/* One call, from ga_calls_begin until ga_calls_wait or ga_calls_cancel. Fields but id are
 * pending_call.c's. */
struct ga_pending_call {
    uint64_t id;
    struct ga_pending_call *next, *previous;
    struct ga_reply *reply; /* the caller's: empty, or its reply once done with no error */
    int error;
    _Atomic uint32_t done; /* a futex; 1 once reply and error are final */
};

/* All calls of one channel. The fields are pending_call.c's. */
struct ga_calls {
    pthread_mutex_t lock;
    struct ga_pending_call *first, *last; /* by age: replies come mostly in the order of calls */
    uint64_t last_id;
    bool ended;
    /* Sees each reply before its caller does, with the lock held, and those whose callers have
     * given up (wanted is false); NULL = nobody does. */
    void (*on_reply)(const struct ga_reply *reply, bool wanted, void *data);
    void *data;
};

/* Begin; the first call gets the id after last_id. */
void ga_calls_init(struct ga_calls *calls, uint64_t last_id);
void ga_calls_fini(struct ga_calls *calls);

/* Enter call and give it its id; empty is the caller's, memory for a reply. Returns 0, or -ENOTCONN
 * after ga_calls_end. Thread-safe. */
int ga_calls_begin(struct ga_calls *calls, struct ga_pending_call *call, struct ga_reply *empty);

/* Wait until call is completed or deadline (CLOCK_MONOTONIC; NULL = never) is over. Returns 0, and
 * then call->reply is the reply; the error it was completed with; or -ETIMEDOUT. In any case call
 * is no longer entered, and call->reply is the caller's. Thread-safe. */
int ga_calls_wait(struct ga_calls *calls, struct ga_pending_call *call,
                  const struct timespec *deadline);

/* Take back a call that could not be sent; call->reply is the caller's. Thread-safe. */
void ga_calls_cancel(struct ga_calls *calls, struct ga_pending_call *call);

/* Complete the call of this id with *reply, and leave there what its caller has brought. Returns
 * whether the call is still waiting; if not, *reply stays. Thread-safe. */
bool ga_calls_complete(struct ga_calls *calls, uint64_t id, struct ga_reply **reply);

/* Let no on_reply be called any more; one that is running has ended. Thread-safe. */
void ga_calls_stop_on_reply(struct ga_calls *calls);

/* Complete all calls with error, a negative errno, and let nobody begin another. Thread-safe. */
void ga_calls_end(struct ga_calls *calls, int error);

/* After ga_calls_end: calls may begin again, with ids that were never used. Thread-safe. */
void ga_calls_resume(struct ga_calls *calls);

#endif
