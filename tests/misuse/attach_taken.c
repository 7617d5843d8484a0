/* A heap whose addresses the process has given to something else. */
#include <sys/mman.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    enum { BYTES = 4096 };
    uintptr_t inside = m->base + (1u << 20);
    goalloc_detach(m->heap);
    m->heap = NULL;
    void *taken = mmap((void *)inside, BYTES, PROT_READ | PROT_WRITE, /* NOLINT: the address */
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    GA_REQUIRE(m, taken == (void *)inside); /* NOLINT: as above */
    int r = goalloc_attach(m->server.socket, NULL, &m->heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m,
                     "heap '%s' lies at %#lx, where this process has memory of its own, at %#lx; "
                     "attach it once, and where it is another's, start goallocd with another "
                     "--base",
                     m->server.heap_name, m->base, inside);
    ga_misuse_tell(goalloc_strerror(r));
    ga_misuse_expect(m, "The address is taken: the heap's range in this process, or the socket.");
    GA_REQUIRE(m, m->heap == NULL);
    munmap(taken, BYTES);
}
