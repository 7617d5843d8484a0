/* Atomics with their memory order in the name, over C11 _Atomic words. Every use of an order that
 * is not relaxed says at the place what it pairs with. A release store is what the crash protocol
 * rests on too: it keeps the compiler from reordering, and a killed thread leaves a prefix of its
 * stores (shm/README.md). */
#ifndef GA_SHM_ATOMIC_H
#define GA_SHM_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

#define ga_load_relaxed(p)     atomic_load_explicit((p), memory_order_relaxed)
#define ga_load_acquire(p)     atomic_load_explicit((p), memory_order_acquire)
#define ga_load_seq_cst(p)     atomic_load_explicit((p), memory_order_seq_cst)
#define ga_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define ga_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define ga_xchg_seq_cst(p, v)  atomic_exchange_explicit((p), (v), memory_order_seq_cst)
/* Whether *(p) was *(expected) and is v now; if not, what it was is in *(expected). */
#define ga_cas_seq_cst(p, expected, v)                                                             \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,            \
                                            memory_order_acquire)
#define ga_fetch_or_seq_cst(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define ga_fetch_and_seq_cst(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)
#define ga_fetch_add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define ga_fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define ga_fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

/* Have the cache line at p come to this core, as one that it may write. */
static inline void ga_prefetch_for_write(const void *p)
{
#if defined(__x86_64__)
    /* For __builtin_prefetch this instruction is made only where an option says that it exists;
     * where it does not, it does nothing. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
    __builtin_prefetch(p, 1);
#endif
}

/* One instruction each of what compilers make two of, a load and its use. The clobber is for the
 * compiler, as an acquire or seq_cst load is: the processor's loads are acquires. Not under
 * ThreadSanitizer, which does not see into them. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define GA_FUSED_LOADS 1
#else
#define GA_FUSED_LOADS 0
#endif

/* value ^ *p, acquire. */
static inline __attribute__((always_inline)) uint64_t ga_xor_acquire(uint64_t value,
                                                                     const _Atomic uint64_t *p)
{
#if GA_FUSED_LOADS
    __asm__ volatile("xorq %1, %0" : "+r"(value) : "m"(*p) : "cc", "memory");
    return value;
#else
    return value ^ ga_load_acquire(p);
#endif
}

/* Whether *p is 0, seq_cst. */
static inline __attribute__((always_inline)) _Bool ga_is_zero_seq_cst(const _Atomic uint64_t *p)
{
#if GA_FUSED_LOADS
    _Bool zero;
    __asm__ volatile("cmpq $0, %1" : "=@cce"(zero) : "m"(*p) : "memory");
    return zero;
#else
    return ga_load_seq_cst(p) == 0;
#endif
}

/* Add one to a counter that only the caller writes. */
static inline void ga_count_one(_Atomic uint64_t *counter)
{
#if defined(__x86_64__)
    /* One instruction, which no compiler makes of the two below. */
    __asm__("addq $1, %0" : "+m"(*counter) : : "cc");
#else
    ga_store_relaxed(counter, ga_load_relaxed(counter) + 1);
#endif
}

#endif
