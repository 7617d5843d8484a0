/* A single-producer single-consumer ring of words, the same for every family: what crosses it is a
 * pointer, or a handle where pointers mean nothing to the other side. Both indices only grow. Each
 * side keeps a copy of the other's index beside its own and looks at the real one only when the
 * copy says full or empty, so that the ring itself costs little beside the allocator. Read by C and
 * C++; lies in memory that two processes may share, so it holds no pointer of its own. */
#ifndef GA_TESTS_BENCH_RING_H
#define GA_TESTS_BENCH_RING_H

#include <sched.h>
#include <stdint.h>

#include "atomic.h"

#define GA_BENCH_RING_WORDS 1024u

/* All zero is an empty ring. */
struct ga_bench_ring {
    ga_bench_atomic head; /* words ever pushed; written by the producer */
    uint64_t tail_seen;   /* the producer's copy of tail */
    uint64_t producer_pad[6];
    ga_bench_atomic tail; /* words ever taken; written by the consumer */
    uint64_t head_seen;   /* the consumer's copy of head */
    uint64_t consumer_pad[6];
    uint64_t words[GA_BENCH_RING_WORDS];
};

/* Wait a little for the other side; gives up the core now and then, so that one core suffices. */
static inline void ga_bench_ring_pause(unsigned *spins)
{
    if (++*spins % 4096 == 0)
        sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Producer: append word, waiting while the ring is full. */
static inline void ga_bench_ring_push(struct ga_bench_ring *ring, uint64_t word)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    for (unsigned spins = 0; head - ring->tail_seen == GA_BENCH_RING_WORDS;) {
        /* Pairs with the release in ga_bench_ring_drop: the slot has been read. */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head - ring->tail_seen == GA_BENCH_RING_WORDS)
            ga_bench_ring_pause(&spins);
    }
    ring->words[head % GA_BENCH_RING_WORDS] = word;
    /* Pairs with the acquire in ga_bench_ring_peek: the word and what it points to are written. */
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

/* Producer: wait until the consumer has done with every word. */
static inline void ga_bench_ring_drain(struct ga_bench_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    for (unsigned spins = 0; ring->tail_seen != head;) {
        /* Pairs with the release in ga_bench_ring_drop: the last objects have been freed. */
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (ring->tail_seen != head)
            ga_bench_ring_pause(&spins);
    }
}

/* Consumer: the oldest word, waiting while there is none. It stays until ga_bench_ring_drop. */
static inline uint64_t ga_bench_ring_peek(struct ga_bench_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (unsigned spins = 0; ring->head_seen == tail;) {
        /* Pairs with the release in ga_bench_ring_push. */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (ring->head_seen == tail)
            ga_bench_ring_pause(&spins);
    }
    return ring->words[tail % GA_BENCH_RING_WORDS];
}

/* Consumer: done with the oldest word and what it stood for. */
static inline void ga_bench_ring_drop(struct ga_bench_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* Pairs with the acquires of the producer. */
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

#endif
