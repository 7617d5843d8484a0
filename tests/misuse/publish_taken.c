/* A name that is taken. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    GA_REQUIRE(m, goalloc_publish(m->heap, "name", p) == 0);
    ga_misuse_tell(goalloc_strerror(goalloc_publish(m->heap, "name", p)));
    ga_misuse_expect(m, "The name is taken.");
    GA_REQUIRE(m, goalloc_unpublish(m->heap, "name") == 0);
    goalloc_free(m->heap, p);
}
