/* To resize from the middle of an object. */
#include <errno.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    errno = 0;
    GA_REQUIRE(m, goalloc_realloc(m->heap, p + 16, 200) == NULL);
    GA_REQUIRE(m, errno == EINVAL);
    ga_misuse_expect(m,
                     "goalloc: goalloc_realloc(%p): inside an object: it begins at %p and has 112 "
                     "bytes; nothing was changed",
                     (void *)(p + 16), (void *)p);
    goalloc_free(m->heap, p);
}
