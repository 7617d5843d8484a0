/* What a process notes down of the objects that are sampled: by which calls each was allocated, and
 * that it was freed. It lies in shared memory, so that a death loses nothing of it. */
#ifndef GA_CLIENT_PROFILE_H
#define GA_CLIENT_PROFILE_H

#include <pthread.h>
#include <stdbool.h>

#include "client/code_map.h"
#include "client/stack.h"
#include "shm/slot.h"

struct goalloc_heap;

#define GA_PROFILE_INDEX 8192u /* places for the sites, at most a quarter of them used */

/* What a process that samples has of memory besides: its index and its buffer, and behind those the
 * stacks of a thread. */
#define GA_PROFILER_BYTES                                                                          \
    (GA_PROFILE_INDEX * sizeof(uint32_t) + GA_CODE_MAP_BUFFER_BYTES +                              \
     sizeof(struct ga_stack_memory))

/* Private memory of a process that samples. */
struct ga_profiler {
    _Atomic uint64_t rate_plus_1; /* what this process has asked for, also for its children of fork;
                                     0 = nothing */
    pthread_mutex_t lock;         /* over beginning, and asking for room */
    /* Of whom the profile is, as ga_sample_who has it; 0 = it is not begun. Stored last. */
    _Atomic uint64_t who;
    _Atomic uint64_t freer;  /* this process among those who free, once it has; 0 = it has not */
    _Atomic uint32_t *index; /* site + 1 by hash, 0 = none; NULL before the first sample */
    char *buffer;            /* to read maps with */
    char *at_hand; /* GA_PROFILER_BYTES for it and for the first thread, all zero, of the heap's own
                      reservation; NULL = what is needed is mapped */
    struct ga_code_range own; /* the library's own code, where it is a file's of its own */
    uint64_t asked_ms;        /* when room was asked for last, and refused; 0 = it was not */
};

struct ga_thread_cache;
/* What the thread remembers of its stacks is needed no more: the cache goes. */
void ga_profile_free_stacks(struct ga_thread_cache *cache);

void ga_profile_init(struct goalloc_heap *heap);
void ga_profile_fini(struct goalloc_heap *heap);
/* Before attaching: the rate that GOALLOC_PROFILE_RATE names, if it is set. False: it names none.
 */
bool ga_profile_read_rate(struct goalloc_heap *heap);
/* In a child of fork: whoever had the lock is not here. */
void ga_profile_reset(struct goalloc_heap *heap);

/* Note that the object p of size_bytes, which the calling thread has just allocated, was sampled at
 * this rate, with the calls it is in. Not in an operation; errno stays as it is. Returns p. It is
 * not noted where there is no room for it. Killed in it, a process leaves the object unsampled. */
void *ga_profile_note(struct goalloc_heap *heap, void *p, uint64_t size_bytes, uint64_t rate_bytes);

/* The object in slot, at offset from the heap's base, is about to be freed by this process, in a
 * span that has sampled objects: if it is one, that is noted. */
void ga_profile_freed(struct goalloc_heap *heap, const struct ga_slot *slot, uint64_t offset);

#endif
