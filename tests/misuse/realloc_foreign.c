/* To resize what malloc has given, as mixing the two up does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = malloc(100);
    errno = 0;
    GA_REQUIRE(m, goalloc_realloc(m->heap, p, 200) == NULL);
    ga_misuse_tell(strerrorname_np(errno));
    ga_misuse_expect(m,
                     "goalloc: goalloc_realloc(%p): not in this heap (%#lx to %#lx); nothing was "
                     "changed",
                     p, m->base, m->base + GA_TEST_RESERVE);
    ga_misuse_expect(m, "EINVAL");
    free(p);
}
