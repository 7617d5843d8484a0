/* A large object freed twice: its thread keeps the span, in which nothing is in use. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100000);
    goalloc_free(m->heap, p);
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (106496 bytes); nothing was changed",
                     p);
}
