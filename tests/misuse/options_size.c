/* Options whose size was not set. */
#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct goalloc_options options = {.timeout_ms = 1000};
    struct goalloc_heap *heap = NULL;
    int r = goalloc_attach(m->server.socket, &options, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m, "options.size is 0, expected is %zu", sizeof(options));
    ga_misuse_tell(goalloc_strerror(r));
    ga_misuse_expect(m, "An argument is not valid.");
    GA_REQUIRE(m, heap == NULL);
}
