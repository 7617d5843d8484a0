/* What is given is no slot: a variable, an address between two slots, one behind the last, a word
 * of an object. */
#include "misuse/misuse.h"

#include <errno.h>

static void try(struct ga_misuse *m, void *slot)
{
    errno = 0;
    GA_REQUIRE(m, goalloc_malloc_into(m->heap, 100, slot) == NULL);
    GA_REQUIRE(m, errno == EINVAL);
    ga_misuse_expect(m,
                     "goalloc: goalloc_malloc_into(%p): it is no slot of this process; nothing was "
                     "allocated",
                     slot);
}

void ga_misuse(struct ga_misuse *m)
{
    void *variable = NULL;
    void **object = goalloc_calloc(m->heap, 1, 8);
    try(m, &variable);
    try(m, (char *)goalloc_slot(m->heap, 0) + 4);
    try(m, goalloc_slot(m->heap, GOALLOC_SLOTS - 1) + 1);
    try(m, object);
    GA_REQUIRE(m, variable == NULL && *object == NULL);
    goalloc_free(m->heap, object);
}
