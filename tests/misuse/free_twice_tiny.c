/* A tiny object freed twice. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_alloc(m->heap, 3, 0, GOALLOC_NOSCAN);
    goalloc_free(m->heap, p);
    goalloc_free(m->heap, p);
    ga_misuse_expect(
        m,
        "goalloc: goalloc_free(%p): no tiny object in use begins there: a double free, "
        "inside an object, or never allocated; nothing was changed",
        p);
}
