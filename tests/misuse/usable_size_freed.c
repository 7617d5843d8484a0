/* To ask the size of what was freed. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    goalloc_free(m->heap, p);
    GA_REQUIRE(m, goalloc_usable_size(m->heap, p) == 0);
    ga_misuse_expect(m,
                     "goalloc: goalloc_usable_size(%p): the object is not in use: a double free, "
                     "or never allocated (112 bytes); nothing was changed",
                     p);
}
