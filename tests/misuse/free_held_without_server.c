/* To free an object that is held, when there is no server that could note it. That the heap has
 * ended is said first, and once. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    goalloc_detach(m->heap);
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 100};
    GA_REQUIRE(m, goalloc_attach(m->server.socket, &options, &m->heap) == 0);
    void *p = goalloc_malloc(m->heap, 100);
    GA_REQUIRE(m, goalloc_hold(m->heap, p) == 0);
    GA_REQUIRE(m, ga_test_server_stop(&m->server));
    m->server_stopped = true;
    goalloc_free(m->heap, p);
    ga_misuse_expect(
        m, "goalloc: the heap has ended with its server; what is leased can still be used");
    ga_misuse_expect(m,
                     "goalloc: an object was not freed: it is held, and the server cannot be told");
    GA_REQUIRE(m, goalloc_usable_size(m->heap, p) == 112);
}
