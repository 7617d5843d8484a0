/* n * size is more than a size can be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    size_t huge = strtoul("9223372036854775807", NULL, 10); /* compilers refuse it as a constant */
    errno = 0;
    GA_REQUIRE(m, goalloc_calloc(m->heap, huge, 3) == NULL);
    ga_misuse_tell(strerrorname_np(errno));
    ga_misuse_expect(m, "ENOMEM");
}
