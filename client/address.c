/* The rule for the server's socket. It only puts a path together and never tries one socket after
 * the other: a client that quietly reached another heap than the one it was told to use would be
 * worse than an error. */
#include "client/address.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == GA_ADDRESS_BYTES,
              "the room for a socket's path");

/* A variable's value, NULL where it is empty. Who runs with more rights than its caller must not
 * be sent to a server of the caller's choice, which secure_getenv sees to. */
static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value && value[0] != '\0' ? value : NULL;
}

int ga_address_resolve(const char *given, char ret_path[static GA_ADDRESS_BYTES])
{
    const char *folder = "";
    const char *path = given;
    if (!path)
        path = variable("GOALLOC_SOCKET");
    if (!path) {
        const char *runtime = variable("XDG_RUNTIME_DIR");
        folder = runtime && runtime[0] == '/' ? runtime : "/run/goalloc";
        path = "/goalloc.sock";
    }
    if (path[0] == '\0')
        return -EINVAL;

    char joined[GA_ADDRESS_BYTES];
    int length = snprintf(joined, sizeof(joined), "%s%s", folder, path);
    if (length < 0 || length >= GA_ADDRESS_BYTES)
        return -ENAMETOOLONG;
    snprintf(ret_path, GA_ADDRESS_BYTES, "%s", joined);
    return 0;
}
