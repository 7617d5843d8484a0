#include "client/stack.h"

#include <stdbool.h>
#include <unwind.h>

struct walk {
    uintptr_t skip_from;
    uintptr_t skip_to;
    bool inside; /* still in the calls that are left out */
    uint32_t depth;
    struct ga_stack *stack;
};

/* Nobody's stack is deeper inside the library than this. */
#define INSIDE_MAX 16u

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *data)
{
    struct walk *walk = data;
    int before = 0; /* the address is the instruction's own, as where a signal came */
    uintptr_t pc = _Unwind_GetIPInfo(context, &before);
    if (pc == 0)
        return _URC_END_OF_STACK;
    pc -= before ? 0 : 1;
    if (walk->depth++ == 0)
        return _URC_NO_REASON; /* ga_stack_walk itself */
    walk->inside = walk->inside && pc >= walk->skip_from && pc < walk->skip_to;
    if (walk->inside && walk->depth < INSIDE_MAX)
        return _URC_NO_REASON;
    walk->stack->pc[walk->stack->nframes++] = pc;
    return walk->stack->nframes == GA_PROFILE_FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

__attribute__((noinline)) void ga_stack_walk(uintptr_t skip_from, uintptr_t skip_to,
                                             struct ga_stack *ret)
{
    struct walk walk = {.skip_from = skip_from, .skip_to = skip_to, .inside = true, .stack = ret};
    ret->nframes = 0;
    _Unwind_Backtrace(on_frame, &walk);
}
