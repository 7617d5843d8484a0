/* A ref of what is not in the heap, and numbers that are no refs. */
#include <errno.h>
#include <string.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    int on_stack = 0;
    uint64_t ref = 7;
    ga_misuse_tell(goalloc_strerror(goalloc_to_ref(m->heap, &on_stack, &ref)));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, ref == 7);
    static const uint64_t wrong[] = {8, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        errno = 0;
        GA_REQUIRE(m, goalloc_from_ref(m->heap, wrong[i]) == NULL);
        ga_misuse_tell(strerrorname_np(errno));
        ga_misuse_expect(m, "EINVAL");
    }
}
