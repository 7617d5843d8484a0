/* What the files of stopping share (managed_stop.h): managed_stop.c has the threads stand still,
 * managed_threads.c finds and asks them, managed_signal.c has the signal, managed_own.c the
 * library's own threads.
 *
 * Stopped threads may hold any lock of the program and of libc. So from the first signal to the
 * release nothing in these files, nor what is called in between, takes a lock that other threads
 * take; it makes system calls, and writes to memory that was mapped before. */
#ifndef GA_CLIENT_MANAGED_STOP_INTERNAL_H
#define GA_CLIENT_MANAGED_STOP_INTERNAL_H

#include <signal.h>

#include "client/managed_stop.h"
#include "shm/atomic.h"

#define GA_STOP_THREADS_MAX 16384u /* that can be stopped; the memory is touched as they come */
#define GA_STOP_DIR_BYTES   32768u
#define GA_STOP_MASK        (UINT32_MAX >> 3) /* of the count of releases, that an answer names */

enum ga_stop_state {
    GA_STOP_ASKED = 1,   /* and has not answered */
    GA_STOP_BUSY = 2,    /* it was in an operation, and goes on */
    GA_STOP_STOPPED = 3, /* it stands still */
    GA_STOP_GONE = 4,    /* it has ended, or is no thread of the program's */
};

/* A thread of the program. answer is the stop, by the count of releases, and a thread_state: so an
 * answer to a signal that comes late stands for a stop that is over. Written by the library's
 * thread, but for answer when it is asked, and what the handler says before it. */
struct ga_stop_thread {
    _Atomic uint32_t answer;
    pid_t tid;
    uint32_t look;   /* the last in which it was there */
    uint32_t waited; /* looks since it was asked */
    bool was_busy;   /* when it was asked last */
    uintptr_t sp;
    struct ga_stop_range stack;
    bool is_on_signal_stack;
};

struct ga_stop_table {
    uint32_t count;
    uint32_t look;
    struct ga_stop_thread thread[GA_STOP_THREADS_MAX];
    char dir[GA_STOP_DIR_BYTES];
};

extern struct ga_stop_table *ga_stop_table; /* NULL before a signal was taken */
extern _Atomic uint32_t
    ga_stop_releases; /* a futex: stopped threads wait while it is as they found it */
extern _Atomic uint32_t ga_stop_answers; /* a futex: how many answers were given */

static inline uint32_t ga_stop_answer_of(uint32_t stop, enum ga_stop_state state)
{
    return stop << 3 | state;
}

static inline enum ga_stop_state ga_stop_state_of(const struct ga_stop_thread *entry)
{
    /* Pairs with the handler's compare and swap: what it said before is there. */
    return ga_load_acquire(&entry->answer) & 7;
}

/* managed_stop.c: the handler. */
void ga_stop_on_signal(int number, siginfo_t *info, void *context);

/* managed_threads.c. Ask all threads that are listed in dir, /proc/self/task; whether there is one
 * that was not there before. 0 or a negative errno; -E2BIG: there are too many. */
int ga_stop_look(int dir, bool *ret_found_new);
/* The first thread that was there at the last look and does not stand still; NULL: all do. */
const struct ga_stop_thread *ga_stop_first_running(void);

/* managed_signal.c: the signal that was taken; 0 = none as yet. */
int ga_stop_signal(void);
/* Whether it is still ours: 0, or -EPERM, and then ret_why is a clause. */
int ga_stop_check_signal(char *ret_why);
/* In a child of fork. */
void ga_stop_signal_in_child(void);

/* managed_own.c. Whether tid is a thread of the library's own. */
bool ga_stop_is_excepted(pid_t tid);
/* Where the stack of thread lies, which has not ended; {0, 0} where that is not known. Calls the
 * process's malloc. */
struct ga_stop_range ga_stop_stack_of(pthread_t thread);
/* In a child of fork: they are all gone. */
void ga_stop_own_in_child(void);

#endif
