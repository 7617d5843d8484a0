/* Stopping the world: every thread of this process but the library's own stands still, by a signal
 * that each of them handles, until it is released. Threads are found in /proc/self/task, as the
 * kernel has them, so it does not matter who has made them.
 *
 * A thread that is in the middle of an operation of the library goes on and is asked again; one
 * that waits for the server within a call stands still where it is. A thread that blocks all
 * signals never answers, and then nobody stands still. One heap at a time: the next waits. */
#ifndef GA_CLIENT_MANAGED_STOP_H
#define GA_CLIENT_MANAGED_STOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GA_STOP_WHY_BYTES 160

/* Memory, in bytes of address. */
struct ga_stop_range {
    uintptr_t start;
    uintptr_t end;
};

/* A thread that stands still. */
struct ga_stopped {
    pid_t tid;
    uintptr_t sp; /* all that it has on its stack lies from here on, its registers included */
    struct ga_stop_range stack; /* {0, 0} where it is not known */
    bool is_on_signal_stack;    /* sp is; so it does not tell how much of the usual one is in use */
};

/* Take a signal for this process, once for all its heaps: number, or 0 for $GOALLOC_STOP_SIGNAL,
 * or, where that says nothing, the highest real-time signal below SIGRTMAX that is not in use. 0;
 * -EBUSY (it has a handler, or is ignored), -EINVAL (no signal that can be used), -ENOMEM; then
 * ret_why is a clause. Not for the library's own thread. */
int ga_stop_take_signal(uint32_t number, char ret_why[static GA_STOP_WHY_BYTES]);

/* The calling thread learns where its stack lies, once, so that what is not used of it need not be
 * scanned. Calls the process's malloc: pthread_getattr_np does. */
void ga_stop_note_stack(void);

/* A thread of the library's own is neither stopped nor scanned: it has a place here from before it
 * begins until after it has ended. Who makes it says where its stack lies, since asking libc for
 * that takes memory; the thread, which it is. The place; or -1, of which the next three take no
 * note: then nobody can be stopped. */
int ga_stop_reserve_place(void);
void ga_stop_set_thread(int place, pid_t tid);
void ga_stop_set_stack(int place, pthread_t thread);
void ga_stop_free_place(int place);

/* Stop all other threads within timeout_ms; where they stand still for another heap, once they have
 * gone on, which is waited for half as long. 0; or -EBUSY (they stand still all that time), -EPERM
 * (the program has taken the signal from us), -ETIMEDOUT (one did not answer), or another negative
 * errno, and then all go on, and ret_why is a clause. Calls no malloc and takes no lock. */
int ga_stop_all(uint32_t timeout_ms, char ret_why[static GA_STOP_WHY_BYTES]);

/* They go on. */
void ga_stop_release(void);

/* The threads that stand still, from index 0 on; false past the last. Between the two. */
bool ga_stop_next(size_t *index, struct ga_stopped *ret);
/* Memory of this file's that need not be scanned, and the stacks of the library's own threads;
 * false past the last. */
bool ga_stop_next_except(size_t *index, struct ga_stop_range *ret);

/* In a child of fork, which has one thread: nothing is stopped. */
void ga_stop_in_child(void);

#endif
