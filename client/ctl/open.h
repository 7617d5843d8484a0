/* Opening the source that a command line names. */
#ifndef GA_CTL_OPEN_H
#define GA_CTL_OPEN_H

#include "client/address.h"
#include "client/ctl/command_line.h"

/* Open the heap in shared memory that request names with --shm, else the server's socket, whose
 * path is written to socket, which must outlive the source. Returns 0; a negative errno after the
 * reason has been told on stderr: -ENOENT or -ECONNREFUSED (no server, or no heap), -EACCES or
 * -EPERM (no right to it), -EPROTO (of another version, or damaged), or another. */
int ga_open(const struct ga_request *request, char socket[static GA_ADDRESS_BYTES],
            struct ga_source *ret);

/* Which socket request names, or the default one: its path is written to socket. 0; a negative
 * errno after the reason has been told on stderr. */
int ga_open_which(const struct ga_request *request, char socket[static GA_ADDRESS_BYTES]);

#endif
