/* The private server: where nobody serves the user's default socket, the first process that
 * attaches starts a goallocd there, which ends with its last client. */
#ifndef GA_CLIENT_PRIVATE_SERVER_H
#define GA_CLIENT_PRIVATE_SERVER_H

#include <limits.h>
#include <stdbool.h>

#include "client/channel.h"

/* Whether this process may start one: never a program that runs with more rights than its caller.
 */
bool ga_private_server_is_allowed(void);

/* Find the program: $GOALLOC_SERVER, else the one beside this library, or where it was installed,
 * or in $PATH. False where there is none. */
bool ga_private_server_find(char ret_path[static PATH_MAX]);

/* See to it that a server listens at path, which is absolute: start one, or wait for the one that
 * another process is starting. Waits 10 s at most. Returns 0; or a negative errno, and then
 * ret_error holds a sentence that names the path. Thread-safe; makes a child process that it waits
 * for, while the server itself is nobody's child. */
int ga_private_server_start(const char *path, char ret_error[static GA_CHANNEL_ERROR_BYTES]);

/* In a child of fork: what another thread of the parent was starting is the parent's. */
void ga_private_server_in_child(void);

#endif
