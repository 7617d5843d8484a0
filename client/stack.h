/* The calls that a thread is in. */
#ifndef GA_CLIENT_STACK_H
#define GA_CLIENT_STACK_H

#include <stdint.h>

#include "shm/layout.h"

struct ga_stack {
    uint32_t nframes;
    uint64_t pc[GA_PROFILE_FRAMES]; /* in the calls, the innermost first: return addresses less 1 */
};

/* Code that is left out at the inner end; empty = none. */
struct ga_code_range {
    uintptr_t from;
    uintptr_t to;
};

/* Stacks that were walked, for one thread at a time. Begin with zeros. */
#define GA_STACK_MEMORY     16u
#define GA_STACK_WALKED_MAX (GA_PROFILE_FRAMES + 16u)
struct ga_stack_walked {
    const void *thread;
    uint32_t n; /* 0 = nothing is remembered */
    const uintptr_t *at[GA_STACK_WALKED_MAX];
    uintptr_t pc[GA_STACK_WALKED_MAX];
    struct ga_stack stack; /* what came of it */
};
struct ga_stack_memory {
    uint32_t next;
    struct ga_stack_walked walked[GA_STACK_MEMORY];
};

/* Walk the stack of the calling thread by the unwind tables that compilers write for each function,
 * which needs no frame pointers; the calls from code in skip at its inner end are left out. memory:
 * NULL, or what the same thread, or one that has exited, was given before, with the same skip.
 * Takes no lock, allocates nothing, makes no system call (README.md). */
void ga_stack_walk(const struct ga_code_range *skip, struct ga_stack_memory *memory,
                   struct ga_stack *ret);

#endif
