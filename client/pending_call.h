/* The calls that wait for a reply. A call lies on its caller's stack and is found by its id; ids
 * are never used twice, so a reply that comes after its caller has given up finds nobody. */
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
    struct ga_reply *reply;
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

/* Enter call and give it its id. Returns 0, or -ENOTCONN after ga_calls_end. Thread-safe. */
int ga_calls_begin(struct ga_calls *calls, struct ga_pending_call *call);

/* Wait until call is completed or deadline (CLOCK_MONOTONIC; NULL = never) is over. Returns 0 and
 * the reply, which is now the caller's; the error it was completed with; or -ETIMEDOUT. In any case
 * call is no longer entered. Thread-safe. */
int ga_calls_wait(struct ga_calls *calls, struct ga_pending_call *call,
                  const struct timespec *deadline, struct ga_reply **ret_reply);

/* Take back a call that could not be sent. Thread-safe. */
void ga_calls_cancel(struct ga_calls *calls, struct ga_pending_call *call);

/* Complete the call of this id: with reply if error is 0, else with error, a negative errno; reply,
 * which may then be NULL, is one that nobody gets. Returns whether the call is still waiting; takes
 * reply if it is and error is 0. Thread-safe. */
bool ga_calls_complete(struct ga_calls *calls, uint64_t id, struct ga_reply *reply, int error);

/* Let no on_reply be called any more; one that is running has ended. Thread-safe. */
void ga_calls_stop_on_reply(struct ga_calls *calls);

/* Complete all calls with error, a negative errno, and let nobody begin another. Thread-safe. */
void ga_calls_end(struct ga_calls *calls, int error);

/* After ga_calls_end: calls may begin again, with ids that were never used. Thread-safe. */
void ga_calls_resume(struct ga_calls *calls);

#endif
