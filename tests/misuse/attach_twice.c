/* The same heap once more in one process. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct goalloc_heap *heap = NULL;
    int r = goalloc_attach(m->server.socket, NULL, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m,
                     "heap '%s' lies at %#lx, where this process has /dev/shm/goalloc.%s.heap, at "
                     "%#lx; attach it once, and where it is another's, start goallocd with another "
                     "--base",
                     m->server.heap_name, m->base, m->server.heap_name, m->base);
    ga_misuse_tell(goalloc_strerror(r));
    ga_misuse_expect(m, "The address is taken: the heap's range in this process, or the socket.");
    GA_REQUIRE(m, heap == NULL);
}
