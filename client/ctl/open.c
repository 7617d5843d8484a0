#include "client/ctl/open.h"

#include <errno.h>
#include <stdio.h>

#include "proto/error.h"

static int open_socket(const char *path, char buffer[static GA_ADDRESS_BYTES],
                       struct ga_source *ret)
{
    int err = ga_address_resolve(path, buffer);
    if (err < 0) {
        fprintf(stderr, "goallocctl: the path of the socket, from %s, cannot be used: %s\n",
                path ? path : "the environment", ga_error_text(err));
        return err;
    }
    if (ga_address_check_folder(path, false) == -EACCES) {
        fprintf(stderr, "goallocctl: %s: the folder is not this user's alone\n", buffer);
        return -EACCES;
    }
    return ga_source_open_socket(buffer, ret);
}

/* Whoever reads a table should know that nobody keeps the heap in order; JSON says it itself. */
static int open_shm(const char *name, bool json, struct ga_source *ret)
{
    int err = ga_source_open_shm(name, ret);
    if (err == 0 && !json)
        fprintf(stderr, "goallocctl: heap '%s' as its shared memory shows it; its server is %s\n",
                name, ret->server_alive ? "alive" : "dead");
    return err;
}

int ga_open(const struct ga_request *request, char socket[static GA_ADDRESS_BYTES],
            struct ga_source *ret)
{
    return request->shm ? open_shm(request->shm, request->ctl.json, ret)
                        : open_socket(request->socket, socket, ret);
}
