/* The calls that a thread is in. */
#ifndef GA_CLIENT_STACK_H
#define GA_CLIENT_STACK_H

#include <stdint.h>

#include "shm/layout.h"

struct ga_stack {
    uint32_t nframes;
    uint64_t pc[GA_PROFILE_FRAMES]; /* in the calls, the innermost first: return addresses less 1 */
};

/* Walk the stack of the calling thread by the unwind tables that compilers write for each function,
 * which needs no frame pointers; the calls from code in [skip_from, skip_to) at its inner end are
 * left out. Takes no lock, allocates nothing, makes no system call (README.md). */
void ga_stack_walk(uintptr_t skip_from, uintptr_t skip_to, struct ga_stack *ret);

#endif
