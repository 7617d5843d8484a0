/* To hold what was freed, or lies in the middle of an object. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    ga_misuse_tell(goalloc_strerror(goalloc_hold(m->heap, p + 8)));
    ga_misuse_expect(m, "An argument is not valid.");
    goalloc_free(m->heap, p);
    ga_misuse_tell(goalloc_strerror(goalloc_hold(m->heap, p)));
    ga_misuse_expect(m, "An argument is not valid.");
}
