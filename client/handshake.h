/* The first words on a connection: Hello, Welcome, and the version that both sides speak. */
#ifndef GA_CLIENT_HANDSHAKE_H
#define GA_CLIENT_HANDSHAKE_H

#include <time.h>

#include "client/channel.h"
#include "client/reply.h"
#include "proto/frame.h"

/* The id of the Hello; those of calls are larger. */
#define GA_HANDSHAKE_ID 1u

/* Say Hello on fd, connected to path, and wait for the Welcome until deadline (CLOCK_MONOTONIC).
 * client_name: NULL means the program's short name. reader has received nothing yet; it may hold
 * further frames afterwards. Returns 0, and reply holds the Welcome; or -EPROTO, -ETIMEDOUT,
 * -ENOTCONN (the other side ended the connection), what the server refused with, or another
 * negative errno, and then ret_error holds a sentence that names the path. */
int ga_handshake(int fd, const char *path, const char *client_name, const struct timespec *deadline,
                 struct ga_frame_reader *reader, struct ga_reply *reply,
                 char ret_error[static GA_CHANNEL_ERROR_BYTES]);

/* Send a request on fd, after the handshake, and wait for its answer, which is then in reply; notes
 * before it are dropped. Its id is filled in. Returns 0; -EPROTO, -ETIMEDOUT, -ENOTCONN or another
 * negative errno. */
int ga_handshake_ask(int fd, Goalloc__V1__Envelope *request, const struct timespec *deadline,
                     struct ga_frame_reader *reader, struct ga_reply *reply);

#endif
