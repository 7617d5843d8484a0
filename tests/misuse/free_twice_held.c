/* An object that is held is freed, which takes effect with the last release; a second free of it is
 * refused already. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    GA_REQUIRE(m, goalloc_hold(m->heap, p) == 0);
    goalloc_free(m->heap, p);
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     p);
    GA_REQUIRE(m, goalloc_release(m->heap, p) == 0);
}
