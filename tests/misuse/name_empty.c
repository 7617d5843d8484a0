/* A root without a name. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    void *found = NULL;
    ga_misuse_tell(goalloc_strerror(goalloc_publish(m->heap, "", p)));
    ga_misuse_expect(m, "An argument is not valid.");
    ga_misuse_tell(goalloc_strerror(goalloc_lookup(m->heap, "", &found)));
    ga_misuse_expect(m, "An argument is not valid.");
    ga_misuse_tell(goalloc_strerror(goalloc_unpublish(m->heap, "")));
    ga_misuse_expect(m, "An argument is not valid.");
    goalloc_free(m->heap, p);
}
