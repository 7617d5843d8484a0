/* Included before everything else in each file of the simulation, in shm and in the server's core:
 * from then on each use of an atomic word is a point where the simulation may cut off who is at it,
 * or let others go on. */
#ifndef GA_TESTS_SIMULATION_POINT_H
#define GA_TESTS_SIMULATION_POINT_H

#include "shm/atomic.h"

/* What is running in a frame (frame.h), NULL where nothing is that can be cut off. */
struct ga_sim_frame;
extern struct ga_sim_frame *ga_sim_current;

/* Perhaps cut off the current frame, or let others go on. */
void ga_sim_point_reached(void);

#define GA_SIM_POINT() ((void)(ga_sim_current ? (ga_sim_point_reached(), 0) : 0))
/* The value is made first: between reading one word and writing another there is a point, too. */
#define GA_SIM_WRITE(p, v, write)                                                                  \
    __extension__({                                                                                \
        __typeof__(v) sim_value = (v);                                                             \
        GA_SIM_POINT();                                                                            \
        write((p), sim_value, memory_order_seq_cst);                                               \
    })

#undef ga_load_relaxed
#undef ga_load_acquire
#undef ga_load_seq_cst
#undef ga_store_relaxed
#undef ga_store_release
#undef ga_xchg_seq_cst
#undef ga_cas_seq_cst
#undef ga_fetch_or_seq_cst
#undef ga_fetch_and_seq_cst
#define ga_load_relaxed(p)     (GA_SIM_POINT(), atomic_load_explicit((p), memory_order_relaxed))
#define ga_load_acquire(p)     (GA_SIM_POINT(), atomic_load_explicit((p), memory_order_acquire))
#define ga_load_seq_cst(p)     (GA_SIM_POINT(), atomic_load_explicit((p), memory_order_seq_cst))
#define ga_store_relaxed(p, v) GA_SIM_WRITE(p, v, atomic_store_explicit)
#define ga_store_release(p, v) GA_SIM_WRITE(p, v, atomic_store_explicit)
#define ga_xchg_seq_cst(p, v)  GA_SIM_WRITE(p, v, atomic_exchange_explicit)
#define ga_cas_seq_cst(p, expected, v)                                                             \
    __extension__({                                                                                \
        __typeof__(v) sim_value = (v);                                                             \
        GA_SIM_POINT();                                                                            \
        atomic_compare_exchange_strong_explicit((p), (expected), sim_value, memory_order_seq_cst,  \
                                                memory_order_acquire);                             \
    })
#define ga_fetch_or_seq_cst(p, v)  GA_SIM_WRITE(p, v, atomic_fetch_or_explicit)
#define ga_fetch_and_seq_cst(p, v) GA_SIM_WRITE(p, v, atomic_fetch_and_explicit)

#endif
