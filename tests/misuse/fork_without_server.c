/* A child of fork whose server has gone before its first call: it can attach as itself no
 * more, so it allocates nothing; but it frees, and its frees are checked. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "misuse/misuse.h"

/* In the child, once the server has gone. */
static void live(struct goalloc_heap *heap, void *p, int server_gone)
{
    char byte;
    while (read(server_gone, &byte, 1) > 0)
        continue;
    errno = 0;
    void *q = goalloc_malloc(heap, 100);
    ga_misuse_tell(q ? "an object" : strerrorname_np(errno));
    goalloc_free(heap, p);
    goalloc_free(heap, p);
    _exit(0);
}

void ga_misuse(struct ga_misuse *m)
{
    void *p = goalloc_malloc(m->heap, 100);
    int gone[2];
    GA_REQUIRE(m, pipe(gone) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(gone[1]);
        live(m->heap, p, gone[0]);
    }
    goalloc_detach(m->heap);
    m->heap = NULL;
    GA_REQUIRE(m, ga_test_server_stop(&m->server));
    m->server_stopped = true;
    close(gone[1]);
    int status = -1;
    waitpid(child, &status, 0);
    close(gone[0]);
    GA_REQUIRE(m, status == 0);
    ga_misuse_expect(m, "ENOMEM");
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     p);
}
