/* Alignments that are no power of two, or more than 1 GiB; or 0, for a function that asks for one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    static const size_t wrong[] = {3, 24, (size_t)2 << 30};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        errno = 0;
        GA_REQUIRE(m, goalloc_alloc(m->heap, 100, wrong[i], 0) == NULL);
        ga_misuse_tell(strerrorname_np(errno));
        ga_misuse_expect(m, "EINVAL");
    }
    errno = 0;
    GA_REQUIRE(m, goalloc_aligned_alloc(m->heap, strtoul("0", NULL, 10), 100) == NULL);
    ga_misuse_tell(strerrorname_np(errno));
    ga_misuse_expect(m, "EINVAL");
}
