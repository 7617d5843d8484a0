/* To resize what was freed. */
#include <errno.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    goalloc_free(m->heap, p);
    errno = 0;
    GA_REQUIRE(m, goalloc_realloc(m->heap, p, 200) == NULL);
    GA_REQUIRE(m, errno == EINVAL);
    ga_misuse_expect(m,
                     "goalloc: goalloc_realloc(%p): the object is not in use: a double free, or "
                     "never allocated (112 bytes); nothing was changed",
                     p);
}
