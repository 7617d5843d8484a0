/* A flag that does not exist. */
#include <errno.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    errno = 0;
    GA_REQUIRE(m, goalloc_alloc(m->heap, 100, 0, 1u << 31) == NULL);
    ga_misuse_tell(strerrorname_np(errno));
    ga_misuse_expect(m, "EINVAL");
}
