/* To hold a tiny object. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_alloc(m->heap, 8, 0, GOALLOC_NOSCAN);
    ga_misuse_tell(goalloc_strerror(goalloc_hold(m->heap, p)));
    ga_misuse_expect(m, "The other side, or this system, cannot do this.");
    goalloc_free(m->heap, p);
}
