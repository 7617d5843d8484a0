/* Statistics whose size was not set. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct goalloc_memstats stats = {0};
    ga_misuse_tell(goalloc_strerror(goalloc_memstats(m->heap, &stats)));
    ga_misuse_expect(m, "An argument is not valid.");
}
