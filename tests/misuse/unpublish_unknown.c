/* Names that nobody has published, or not any more. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    void *found = p;
    ga_misuse_tell(goalloc_strerror(goalloc_unpublish(m->heap, "unknown")));
    ga_misuse_expect(m, "There is nothing of this name.");
    GA_REQUIRE(m, goalloc_publish(m->heap, "known", p) == 0);
    GA_REQUIRE(m, goalloc_unpublish(m->heap, "known") == 0);
    ga_misuse_tell(goalloc_strerror(goalloc_unpublish(m->heap, "known")));
    ga_misuse_expect(m, "There is nothing of this name.");
    ga_misuse_tell(goalloc_strerror(goalloc_wait(m->heap, "known", 1, &found)));
    ga_misuse_expect(m, "The server did not answer in time.");
    GA_REQUIRE(m, found == p);
    goalloc_free(m->heap, p);
}
