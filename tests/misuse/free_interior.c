/* A pointer into the middle of an object. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    goalloc_free(m->heap, p + 8);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): inside an object: it begins at %p and has 112 "
                     "bytes; nothing was changed",
                     (void *)(p + 8), (void *)p);
    goalloc_free(m->heap, p);
}
