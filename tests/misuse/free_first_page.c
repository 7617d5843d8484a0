/* The heap's first page, which is never handed out. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = (void *)m->base;
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): no object is there: freed, or never allocated; "
                     "nothing was changed",
                     p);
}
