/* A socket that does not exist, and one that nobody listens at any more. */
#include <sys/socket.h>
#include <sys/un.h>
#include <stdio.h>
#include <unistd.h>

#include "misuse/misuse.h"

void ga_misuse(struct ga_misuse *m)
{
    struct sockaddr_un left = {.sun_family = AF_UNIX};
    snprintf(left.sun_path, sizeof(left.sun_path), "%.80s/left", m->server.folder);
    struct goalloc_heap *heap = NULL;
    goalloc_attach(left.sun_path, NULL, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m, "%s: no such socket; is goallocd running?", left.sun_path);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    GA_REQUIRE(m, bind(fd, (struct sockaddr *)&left, sizeof(left)) == 0);
    close(fd);
    goalloc_attach(left.sun_path, NULL, &heap);
    ga_misuse_tell(goalloc_attach_error());
    ga_misuse_expect(m, "%s: nobody listens there (connection refused); is goallocd running?",
                     left.sun_path);
    unlink(left.sun_path);
    GA_REQUIRE(m, heap == NULL);
}
