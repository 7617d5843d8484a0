/* How much memory a heap has the machine keep. Allocates nothing itself. */
#ifndef GA_TESTS_BENCH_RESIDENT_H
#define GA_TESTS_BENCH_RESIDENT_H

#include <stdint.h>
#include <sys/types.h>

#include "worker.h"

/* Resident bytes. Of a private allocator: the process's. Of goalloc: the process's and the
 * server's, without what they map of shared memory, and the blocks of the heap's three objects in
 * shared memory, which so count once, committed ahead or in use. */
uint64_t ga_bench_resident(const struct ga_bench_args *args);

/* The blocks of the three objects of goalloc's heap, in bytes. */
uint64_t ga_bench_resident_objects(const char *heap);

/* Of one of them: meta, bits or heap. */
uint64_t ga_bench_resident_object(const char *heap, const char *part);

/* A process's resident bytes that no file holds, such as heap and stacks: its own alone. */
uint64_t ga_bench_resident_anonymous(pid_t pid);

/* A process's own resident bytes, without what it maps of shared memory. */
uint64_t ga_bench_resident_process(pid_t pid);

#endif
