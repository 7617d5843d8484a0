/* With two heaps attached, a pointer of one freed in the other. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct ga_test_server server;
    struct goalloc_heap *other = NULL;
    /* Where other tests have every window there is no place for a second heap. */
    bool started = ga_test_server_start("64M", &server);
    GA_REQUIRE(m, started);
    if (!started)
        return;
    GA_REQUIRE(m, goalloc_attach(server.socket, NULL, &other) == 0);
    if (!other) {
        ga_test_server_stop(&server);
        return;
    }
    void *p = goalloc_malloc(other, 100);
    goalloc_free(m->heap, p);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): not in this heap (%#lx to %#lx); nothing was "
                     "changed",
                     p, m->base, m->base + GA_TEST_RESERVE);
    GA_REQUIRE(m, goalloc_usable_size(other, p) == 112);
    goalloc_free(other, p);
    goalloc_detach(other);
    GA_REQUIRE(m, ga_test_server_stop(&server));
}
