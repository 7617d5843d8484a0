/* The same heap once more in one process, also when its page is the first that lies there. */
#include "misuse/misuse.h"

static void attach_again(struct ga_misuse *m, uintptr_t from)
{
    struct goalloc_heap *heap = NULL;
    int r = goalloc_attach(m->server.socket, NULL, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m,
                     "heap '%s' lies at %#lx, where this process has /dev/shm/goalloc.%s.heap, at "
                     "%#lx; attach it once, and where it is another's, start goallocd with another "
                     "--base",
                     m->server.heap_name, m->base, m->server.heap_name, from);
    ga_misuse_tell(goalloc_strerror(r));
    ga_misuse_expect(m, "The address is taken: the heap's range in this process, or the socket.");
    GA_REQUIRE(m, heap == NULL);
}

void ga_misuse(struct ga_misuse *m)
{
    attach_again(m, m->base);
    GA_REQUIRE(m, goalloc_own_page(m->heap) != NULL);
    attach_again(m, m->base + GOALLOC_OWN_PAGE_BYTES);
}
