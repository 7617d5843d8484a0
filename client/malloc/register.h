/* Telling the server that this process has a heap of its own. */
#ifndef GA_CLIENT_MALLOC_REGISTER_H
#define GA_CLIENT_MALLOC_REGISTER_H

#include "client/channel.h"

/* Connect to the server, and no more. 0; or a negative errno, and why in a sentence. */
int ga_register_connect(char ret_why[static GA_CHANNEL_ERROR_BYTES], int *ret_fd);

/* Say over fd, which is closed, where the heap lies. Nothing is waited for, and no answer comes:
 * who does not get there is not listed, and goes on. */
void ga_register_say(int fd, const void *meta, const void *bits);

#endif
