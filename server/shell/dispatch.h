/* What a client said, led to what does it. */
#ifndef GA_SERVER_SHELL_DISPATCH_H
#define GA_SERVER_SHELL_DISPATCH_H

#include "proto/message.h"

struct ga_connection;

/* Handle a message of connection, which may be closing afterwards. */
void ga_dispatch(struct ga_connection *connection, const Goalloc__V1__Envelope *message);

#endif
