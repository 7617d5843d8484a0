/* In the heap's range, past what is committed of it. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    void *p = (void *)(m->base + (GA_TEST_RESERVE - 1024));
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): past the end of the heap's memory; nothing was "
                     "changed",
                     p);
}
