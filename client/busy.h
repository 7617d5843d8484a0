/* What a thread is at: the mark of an operation on its caches.
 *
 * Every function of the library that uses a thread's cache marks the thread busy before it looks
 * where that lies, and takes the mark back when it is done with it. So the library's own thread can
 * know that no operation is under way, and that none can begin: it takes the cache out of its place
 * (cache[] below), has every running thread go through a barrier (membarrier), and then looks at
 * the mark. If it is there, the operation may have begun before: the cache is put back, and nothing
 * has happened. If it is not, whoever begins from now on finds the place empty, falls through to
 * its slow path, and waits there until the cache is back (ga_thread_cache_await).
 *
 * The mark is a plain store of a constant to memory of the thread's own, so it costs an instruction
 * at either end. Functions that the fast paths jump to end the operation in their place, so that
 * these need no frame; they say so. The mark does not nest, but with ga_busy_enter. A signal
 * handler that interrupts an operation may not begin another, as ever.
 *
 * A thread that waits for the server within a call says so, since it may have to wait for long: it
 * changes nothing until it goes on (ga_busy_begin_wait). When what it waits for has come it is busy
 * again, even if it has not noticed: the answer may name an object that nothing else does
 * (ga_busy_is_in_operation). */
#ifndef GA_CLIENT_BUSY_H
#define GA_CLIENT_BUSY_H

#include <stdbool.h>

#include "shm/atomic.h"

struct ga_thread_cache;

#define GA_HEAPS_MAX  8u                 /* heaps attached at once in one process */
#define GA_TLS_PLACES (GA_HEAPS_MAX + 1) /* of a thread's caches; place 0 is always empty */

enum ga_busy_state {
    GA_BUSY_NOT = 0,
    GA_BUSY_IN_OPERATION = 1, /* may be between any two steps of one */
    GA_BUSY_WAITING = 2, /* for the server, or a connection to it, in an operation or another call
                            of the library */
};

/* What a thread has of its own, each word by the heap's place (tls_index). */
struct ga_tls {
    /* Where operations look for the thread's cache. NULL: there is none, or it is away. Writers:
     * the thread; and the library's, with the heap's lock held, while it takes the cache away. */
    struct ga_thread_cache *_Atomic cache[GA_TLS_PLACES];
    /* enum ga_busy_state; a byte, and near the beginning, for short instructions. Writer: the
     * thread. */
    _Atomic uint8_t busy;
    struct ga_thread_cache *own[GA_TLS_PLACES]; /* also while it is away. Writer: the thread */
    /* While it waits: not 0 once what it waits for has come; NULL = there is no such word. Writer:
     * the thread. */
    const _Atomic uint32_t *_Atomic awaited;
};

/* initial-exec: one load from the thread pointer. */
extern _Thread_local struct ga_tls ga_tls __attribute__((tls_model("initial-exec")));

/* Before an operation looks for its cache. The fence is for the compiler: the barrier of the other
 * side makes one for the processor of it. */
static inline __attribute__((always_inline)) void ga_busy_begin(void)
{
    ga_store_relaxed(&ga_tls.busy, GA_BUSY_IN_OPERATION);
    atomic_signal_fence(memory_order_seq_cst);
}

/* The thread's cache at this place, in an operation; NULL if there is none, or it is away. */
static inline __attribute__((always_inline)) struct ga_thread_cache *
ga_busy_cache_at_hand(uint32_t place)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    /* One instruction; for an atomic load compilers take the address first. */
    struct ga_thread_cache *cache;
    __asm__("movq %1, %0" : "=r"(cache) : "m"(ga_tls.cache[place]));
    return cache;
#else
    /* Acquire: pairs with the release of who puts it back. */
    return ga_load_acquire(&ga_tls.cache[place]);
#endif
}

/* The operation is done with the cache. Release: pairs with the acquire of who takes it away. */
static inline __attribute__((always_inline)) void ga_busy_end(void)
{
    ga_store_release(&ga_tls.busy, GA_BUSY_NOT);
}

/* The same of an operation whose result is p, or NULL, which is returned. It is a pointer by then,
 * and stays one: a collection that comes next knows the object by nothing else, and not by the page
 * and the index that a compiler might still have to make it from. */
static inline __attribute__((always_inline)) void *ga_busy_end_with(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    ga_busy_end();
    return p;
}

/* p stays a pointer until here, in a register or on the stack, though the caller only goes on with
 * its offset: a collection that comes while the call waits for the server may know the object by
 * nothing else. */
static inline __attribute__((always_inline)) void ga_busy_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* The same where another operation may be under way. Returns what ga_busy_leave is to be given. */
static inline uint8_t ga_busy_enter(void)
{
    uint8_t before = ga_load_relaxed(&ga_tls.busy);
    ga_busy_begin();
    return before;
}

static inline void ga_busy_leave(uint8_t before)
{
    ga_store_release(&ga_tls.busy, before);
}

/* From here on the thread waits for the server, until *awaited is not 0 or for what no word says
 * (NULL), and touches nothing of the heap. Returns what ga_busy_end_wait is to be given. */
static inline uint8_t ga_busy_begin_wait(const _Atomic uint32_t *awaited)
{
    uint8_t before = ga_load_relaxed(&ga_tls.busy);
    ga_store_relaxed(&ga_tls.awaited, awaited);
    ga_store_release(&ga_tls.busy, GA_BUSY_WAITING);
    return before;
}

static inline void ga_busy_end_wait(uint8_t before)
{
    ga_store_relaxed(&ga_tls.busy, before);
    atomic_signal_fence(memory_order_seq_cst); /* as in ga_busy_begin */
}

/* Of the calling thread, in a signal handler: whether it is in an operation, or has what it waited
 * for within a call. */
static inline bool ga_busy_is_in_operation(void)
{
    uint8_t state = ga_load_relaxed(&ga_tls.busy);
    if (state != GA_BUSY_WAITING)
        return state == GA_BUSY_IN_OPERATION;
    const _Atomic uint32_t *awaited = ga_load_relaxed(&ga_tls.awaited);
    return awaited && ga_load_relaxed(awaited) != 0;
}

#endif
