/* The object's span is freed as well: the server has answered since. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 2 << 20);
    goalloc_free(m->heap, p);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    GA_REQUIRE(m, goalloc_memstats(m->heap, &stats) == 0);
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): no object is there: freed, or never allocated; "
                     "nothing was changed",
                     p);
}
