/* A policy that there is not. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct goalloc_options options = {.size = sizeof(options), .policy = 7};
    struct goalloc_heap *heap = NULL;
    int r = goalloc_attach(m->server.socket, &options, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m, "options.policy is 7, which is no policy");
    ga_misuse_tell(goalloc_strerror(r));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, heap == NULL);
}
