/* A name of one byte more than names may have. */
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char name[GOALLOC_NAME_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    void *p = goalloc_malloc(m->heap, 100);
    void *found = NULL;
    ga_misuse_tell(goalloc_strerror(goalloc_publish(m->heap, name, p)));
    ga_misuse_expect(m, "The name is too long.");
    ga_misuse_tell(goalloc_strerror(goalloc_lookup(m->heap, name, &found)));
    ga_misuse_expect(m, "The name is too long.");
    ga_misuse_tell(goalloc_strerror(goalloc_unpublish(m->heap, name)));
    ga_misuse_expect(m, "The name is too long.");
    goalloc_free(m->heap, p);
}
