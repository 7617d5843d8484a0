/* Telling the server that this process has a heap of its own. */
#ifndef GA_CLIENT_MALLOC_REGISTER_H
#define GA_CLIENT_MALLOC_REGISTER_H

#include "client/channel.h"

/* Tell the server where this process's heap lies, which is there. No answer comes. 0; or a negative
 * errno if the server cannot be reached, and why in a sentence. */
int ga_register(const void *meta, const void *bits, char ret_why[static GA_CHANNEL_ERROR_BYTES]);

#endif
