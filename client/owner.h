/* Whose a heap's objects must be: who serves them has made them. */
#ifndef GA_CLIENT_OWNER_H
#define GA_CLIENT_OWNER_H

#include <stdint.h>

#define GA_OWNER_ANYBODY (-1)

/* Who listens at the other end of the connection fd: a user's number; or GA_OWNER_ANYBODY where it
 * is the service manager, who does so for a server of any user, and is trusted to pass the socket
 * to the right one. 0 or a negative errno. Thread-safe. */
int ga_owner_of_server(int fd, int64_t *ret_uid);

/* Whose the object behind fd is. */
int ga_owner_of_object(int fd, int64_t *ret_uid);

#endif
