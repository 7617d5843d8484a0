/* The server of goallocctl run: a goallocd of its own, with a heap that nobody else knows of. It
 * ends with this process, however that ends. */
#ifndef GA_CTL_RUN_SERVER_H
#define GA_CTL_RUN_SERVER_H

#include <sys/types.h>

#include "client/address.h"
#include "client/ctl/run.h"
#include "shm/layout.h"

struct ga_run_server {
    char heap_name[GA_HEAP_NAME_MAX + 1];
    char socket[GA_ADDRESS_BYTES];
    pid_t pid; /* a child of this process; 0 when it has been waited for */
};

/* Start it, and wait until it listens. What keeps it from that it says on stderr by itself. Returns
 * 0; -EINVAL where it has found a fault in the options; or another negative errno, after telling
 * why. */
int ga_run_server_start(const struct ga_run_options *options, struct ga_run_server *ret);

/* End it, wait for that, and see to it that nothing of the heap is left. */
void ga_run_server_end(struct ga_run_server *server);

#endif
