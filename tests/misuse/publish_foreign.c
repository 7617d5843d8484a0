/* To publish what is not in the heap. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    int on_stack = 0;
    ga_misuse_tell(goalloc_strerror(goalloc_publish(m->heap, "foreign", &on_stack)));
    ga_misuse_expect(m, "An argument is not valid.");
}
