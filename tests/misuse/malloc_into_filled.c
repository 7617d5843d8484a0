/* The slot names an object already. */
#include "misuse/misuse.h"

#include <errno.h>

void ga_misuse(struct ga_misuse *m)
{
    void **slot = goalloc_slot(m->heap, 5);
    void *p = goalloc_malloc_into(m->heap, 100, slot);
    GA_REQUIRE(m, p != NULL && *slot == p);
    errno = 0;
    GA_REQUIRE(m, goalloc_malloc_into(m->heap, 100, slot) == NULL);
    GA_REQUIRE(m, errno == EINVAL);
    GA_REQUIRE(m, *slot == p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_malloc_into(%p): the slot is not empty; nothing was "
                     "allocated",
                     (void *)slot);
}
