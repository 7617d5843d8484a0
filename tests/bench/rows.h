/* The rows of the benchmark: what is measured. The workers build their tables of work from these
 * lists and the runner its own, so a row that one of them lacks does not compile. Read by C and
 * C++. */
#ifndef GA_TESTS_BENCH_ROWS_H
#define GA_TESTS_BENCH_ROWS_H

/* X(id, name, what one operation of the row is). A worker measures it in row_ID, and what helps it,
 * another process or thread, does help_ID. */

/* Nanoseconds per operation, by every family. */
#define GA_BENCH_TIMED_ROWS(X)                                                                     \
    X(pair, "pair", "malloc 64 B, write its first word, free")                                     \
    X(lifo, "lifo", "malloc and free of 64 B, 32 at a time, the last one freed first")             \
    X(batch, "batch", "malloc and free of 10,000 sizes of 8..1024 B, freed in random order")       \
    X(churn_4k, "churn-4k", "replace a random one of 4,000 objects of 16..256 B")                  \
    X(churn_1m, "churn-1M", "replace a random one of 1,000,000 objects of 16..256 B")              \
    X(larson, "larson", "replace a random one of 1,000; 2 threads exchange their objects")         \
    X(handoff, "handoff", "malloc 64 B here, read and free on another core, through a ring")       \
    X(storm, "storm", "4 processes x 2 threads free each other's objects (or 8 threads)")          \
    X(tiny, "tiny", "malloc and free of 1..15 B without pointers, freed in random order")          \
    X(large, "large", "replace a random one of 16 of 64 KiB..1 MiB, and touch its pages")          \
    X(realloc, "realloc", "one doubling of a vector that grows from 16 B to 1 MiB")

/* What becomes of time and memory while a heap grows, by goalloc and the private families. */
#define GA_BENCH_GROWTH_ROWS(X)                                                                    \
    X(stall, "stall", "malloc, 10 million times, while the heap grows from 0 to 1 GiB")            \
    X(memory_batch, "memory-batch", "resident bytes over live bytes, in the work of batch")        \
    X(memory_churn, "memory-churn-1M", "the same, in the work of churn-1M")                        \
    X(memory_mix, "memory-mix", "the same, where ever larger objects follow on smaller ones")

/* Nanoseconds that a marker takes for each object of a graph: goalloc's and libgc's (graphs.h). */
#define GA_BENCH_MARK_ROWS(X)                                                                      \
    X(collect_random_1m, "collect-random-1M", "mark one of 1,000,000, 2..4 pointers, at random")   \
    X(collect_random_20m, "collect-random-20M", "the same of 20,000,000")                          \
    X(collect_noscan_1m, "collect-noscan-1M", "the same of 1,000,000, half without pointers")      \
    X(collect_noscan_20m, "collect-noscan-20M", "the same of 20,000,000")                          \
    X(collect_list_1m, "collect-list-1M", "mark one of a list of 1,000,000, as it was built")      \
    X(collect_list_20m, "collect-list-20M", "the same of 20,000,000")                              \
    X(collect_chain_1m, "collect-chain-1M", "mark one of a list of 1,000,000, in random order")    \
    X(collect_chain_20m, "collect-chain-20M", "the same of 20,000,000")

/* Of goalloc alone, which is compared with itself. */
#define GA_BENCH_OWN_ROWS(X)                                                                       \
    X(start, "start", "a process that attaches, allocates once and exits")                         \
    X(crowd, "crowd", "replace a random one of 100 objects, in up to 1,000 processes")             \
    X(big, "big", "growth, malloc and free, and statistics in a heap of --gib GiB")                \
    X(collect_pause, "collect-pause", "how long a managed process stands still")                   \
    X(scavenge, "scavenge", "90 % of 4 GiB freed, 64 KiB each: until it is the system's")          \
    X(scavenge_small, "scavenge-small", "the same, 4 KiB each")                                    \
    X(scavenge_left, "scavenge-left", "the same, 8 KiB each, of a process that is gone")

#define GA_BENCH_ROWS(X)                                                                           \
    GA_BENCH_TIMED_ROWS(X)                                                                         \
    GA_BENCH_GROWTH_ROWS(X)                                                                        \
    GA_BENCH_MARK_ROWS(X)                                                                          \
    GA_BENCH_OWN_ROWS(X)

#endif
