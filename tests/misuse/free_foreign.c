/* A pointer of the process's own malloc. */
#include <stdlib.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = malloc(100);
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): not in this heap (%#lx to %#lx); nothing was "
                     "changed",
                     p, m->base, m->base + GA_TEST_RESERVE);
    free(p);
}
