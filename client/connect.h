/* To the server's socket, within a time limit, or a sentence on why not. */
#ifndef GA_CLIENT_CONNECT_H
#define GA_CLIENT_CONNECT_H

#include <time.h>

#include "client/channel.h"

/* Connect to the Unix stream socket at path before deadline (CLOCK_MONOTONIC). Returns 0 and the
 * descriptor, which is closed on exec and, unless the server was slow, does not wait (O_NONBLOCK);
 * or an error as ga_channel_open, and then ret_error holds a sentence that names the path.
 * Thread-safe. */
int ga_connect(const char *path, const struct timespec *deadline,
               char ret_error[static GA_CHANNEL_ERROR_BYTES], int *ret_fd);

#endif
