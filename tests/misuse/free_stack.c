/* The address of a variable. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    int on_stack = 0;
    goalloc_free(m->heap, &on_stack);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): not in this heap (%#lx to %#lx); nothing was "
                     "changed",
                     (void *)&on_stack, m->base, m->base + GA_TEST_RESERVE);
}
