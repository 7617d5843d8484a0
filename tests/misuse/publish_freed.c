/* To publish what was freed: nothing is entered under the name. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    void *found = NULL;
    goalloc_free(m->heap, p);
    ga_misuse_tell(goalloc_strerror(goalloc_publish(m->heap, "freed", p)));
    ga_misuse_expect(m, "An argument is not valid.");
    ga_misuse_tell(goalloc_strerror(goalloc_lookup(m->heap, "freed", &found)));
    ga_misuse_expect(m, "There is nothing of this name.");
}
