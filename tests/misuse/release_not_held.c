/* To release more often than was held, and what was never held. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    ga_misuse_tell(goalloc_strerror(goalloc_release(m->heap, p)));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, goalloc_hold(m->heap, p) == 0 && goalloc_release(m->heap, p) == 0);
    ga_misuse_tell(goalloc_strerror(goalloc_release(m->heap, p)));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, goalloc_usable_size(m->heap, p) == 112);
    goalloc_free(m->heap, p);
}
