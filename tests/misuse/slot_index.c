/* A slot that is none of the 512. */
#include <errno.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    errno = 0;
    GA_REQUIRE(m, goalloc_slot(m->heap, GOALLOC_SLOTS) == NULL);
    ga_misuse_tell(strerrorname_np(errno));
    ga_misuse_expect(m, "EINVAL");
}
