/* To walk the tables takes some hundred nanoseconds a frame, and most samples come from few places.
 * So what was walked is remembered, with where on the stack each return address lay: if the same
 * addresses lie in the same places again, from the innermost outwards, the calls are the same, for
 * what a return address leads to says where the next one is. */
#include "client/stack.h"

#include <stdbool.h>
#include <unwind.h>

#include "client/busy.h"

struct walk {
    const struct ga_code_range *skip;
    bool inside; /* still in the calls that are left out */
    bool plain;  /* each return address lies below its frame, as calls leave it */
    uint32_t depth;
    struct ga_stack *stack;
    struct ga_stack_walked *walked; /* NULL = it is not remembered */
};

/* Nobody's stack is deeper inside the library than this. */
#define INSIDE_MAX 16u

/* Words of frames that may be gone, or of others' that sanitizers keep to themselves. */
#define ANY_WORDS __attribute__((no_sanitize("address", "thread")))

/* Remember where the return address into the frame lies. */
static ANY_WORDS void remember(struct walk *walk, struct _Unwind_Context *context, uintptr_t pc)
{
    struct ga_stack_walked *walked = walk->walked;
    const uintptr_t *at = (const uintptr_t *)_Unwind_GetCFA(context) - 1; /* NOLINT: on the stack */
    if (!walk->plain || walked->n == GA_STACK_WALKED_MAX || *at != pc) {
        walk->plain = false;
        return;
    }
    walked->at[walked->n] = at;
    walked->pc[walked->n++] = pc;
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *data)
{
    struct walk *walk = data;
    int before = 0; /* the address is the instruction's own, as where a signal came */
    uintptr_t pc = _Unwind_GetIPInfo(context, &before);
    if (pc == 0)
        return _URC_END_OF_STACK;
    if (walk->depth++ == 0)
        return _URC_NO_REASON; /* the function that walks */
    if (walk->walked)
        remember(walk, context, pc);
    pc -= before ? 0 : 1;
    walk->inside = walk->inside && pc >= walk->skip->from && pc < walk->skip->to;
    if (walk->inside && walk->depth < INSIDE_MAX)
        return _URC_NO_REASON;
    walk->stack->pc[walk->stack->nframes++] = pc;
    return walk->stack->nframes == GA_PROFILE_FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static ANY_WORDS bool is_same(const struct ga_stack_walked *walked)
{
    if (walked->n == 0 || walked->thread != &ga_tls)
        return false;
    for (uint32_t i = 0; i < walked->n; i++)
        if (*walked->at[i] != walked->pc[i])
            return false;
    return true;
}

/* Whether the innermost return address lies where this function's does: else the others are not to
 * be looked at. */
#define BEGINS_HERE(walked)                                                                        \
    ((walked)->n > 0 && (walked)->at[0] == (const uintptr_t *)__builtin_dwarf_cfa() - 1)

__attribute__((noinline)) void ga_stack_walk(const struct ga_code_range *skip,
                                             struct ga_stack_memory *memory, struct ga_stack *ret)
{
    for (uint32_t i = 0; memory && i < GA_STACK_MEMORY; i++)
        if (BEGINS_HERE(&memory->walked[i]) && is_same(&memory->walked[i])) {
            *ret = memory->walked[i].stack;
            return;
        }
    struct walk walk = {.skip = skip, .inside = true, .plain = true, .stack = ret};
    if (memory) {
        walk.walked = &memory->walked[memory->next++ % GA_STACK_MEMORY];
        walk.walked->n = 0;
    }
    ret->nframes = 0;
    _Unwind_Backtrace(on_frame, &walk);
    if (!memory)
        return;
    if (!walk.plain)
        walk.walked->n = 0;
    walk.walked->thread = &ga_tls;
    walk.walked->stack = *ret;
}
