/* A word that threads, or processes, share, under one name in C and C++. */
#ifndef GA_TESTS_BENCH_ATOMIC_H
#define GA_TESTS_BENCH_ATOMIC_H

#include <stdint.h>

#ifdef __cplusplus
#include <atomic>
typedef std::atomic<uint64_t> ga_bench_atomic;
using std::atomic_exchange_explicit;
using std::atomic_fetch_add_explicit;
using std::atomic_load_explicit;
using std::atomic_store_explicit;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
#else
#include <stdatomic.h>
typedef _Atomic uint64_t ga_bench_atomic;
#endif

#endif
