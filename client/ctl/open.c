#include "client/ctl/open.h"

#include <errno.h>
#include <stdio.h>

int ga_open_which(const struct ga_request *request, char socket[static GA_ADDRESS_BYTES])
{
    const char *path = request->socket;
    int err = ga_address_resolve(path, socket);
    if (err < 0) {
        fprintf(stderr,
                "goallocctl: the path of the socket, from %s, cannot be used, since it has not 1 "
                "to %d bytes\n",
                path ? path : "the environment", GA_ADDRESS_BYTES - 1);
        return err;
    }
    if (ga_address_check_folder(path, false) == -EACCES) {
        fprintf(stderr, "goallocctl: %s: the folder is not this user's alone\n", socket);
        return -EACCES;
    }
    return 0;
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
    if (request->shm)
        return open_shm(request->shm, request->ctl.json, ret);
    int err = ga_open_which(request, socket);
    if (err < 0)
        return err;
    return request->process ? ga_source_open_process(socket, request->process, ret)
                            : ga_source_open_socket(socket, ret);
}
