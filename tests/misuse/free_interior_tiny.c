/* Pointers into the middle of a tiny object, one of them odd. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_alloc(m->heap, 12, 0, GOALLOC_NOSCAN);
    for (int i = 1; i <= 4; i += 3) {
        goalloc_free(m->heap, p + i);
        ga_misuse_expect(m,
                         "goalloc: goalloc_free(%p): no tiny object in use begins there: a double "
                         "free, inside an object, or never allocated; nothing was changed",
                         (void *)(p + i));
    }
    GA_REQUIRE(m, goalloc_usable_size(m->heap, p) >= 12);
    goalloc_free(m->heap, p);
}
