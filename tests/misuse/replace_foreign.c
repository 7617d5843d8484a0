/* To put what is no object in use in the place of what is published: the name stands for what it
 * stood for. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    int on_stack = 0;
    void *found = NULL;
    void *old = &on_stack;
    GA_REQUIRE(m, goalloc_publish(m->heap, "name", p) == 0);
    ga_misuse_tell(goalloc_strerror(goalloc_replace(m->heap, "name", &on_stack, &old)));
    ga_misuse_expect(m, "An argument is not valid.");
    ga_misuse_tell(goalloc_strerror(goalloc_replace(m->heap, "name", p + 16, &old)));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, old == &on_stack);
    GA_REQUIRE(m, goalloc_lookup(m->heap, "name", &found) == 0 && found == p);
    GA_REQUIRE(m, goalloc_unpublish(m->heap, "name") == 0);
    goalloc_free(m->heap, p);
}
