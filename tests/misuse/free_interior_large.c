/* A page within a large object. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100000);
    goalloc_free(m->heap, p + 8192);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): inside an object: it begins at %p and has 106496 "
                     "bytes; nothing was changed",
                     (void *)(p + 8192), (void *)p);
    goalloc_free(m->heap, p);
}
