/* The rest of a span, behind its last object: the 112-byte class has 73 of them. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    char *behind = (char *)((uintptr_t)p & ~(uintptr_t)8191) + 73 * 112;
    goalloc_free(m->heap, behind);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): behind the last object of a span of 112-byte "
                     "objects; nothing was changed",
                     (void *)behind);
    goalloc_free(m->heap, p);
}
