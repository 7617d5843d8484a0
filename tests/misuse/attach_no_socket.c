/* Addresses where no server can be: a file that is no socket, and a path that is too long for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    char file[] = "/tmp/goalloc-misuse-XXXXXX";
    char path[200];
    struct goalloc_heap *heap = NULL;
    int fd = mkstemp(file);
    GA_REQUIRE(m, fd >= 0);
    close(fd);
    ga_misuse_tell(goalloc_strerror(goalloc_attach(file, NULL, &heap)));
    ga_misuse_expect(m, "Nobody listens at the socket.");
    unlink(file);
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    ga_misuse_tell(goalloc_strerror(goalloc_attach(path, NULL, &heap)));
    ga_misuse_expect(m, "The name is too long.");
    GA_REQUIRE(m, heap == NULL);
}
