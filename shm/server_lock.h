/* The lock that a server holds on its meta object as long as it lives. It shows that the heap is
 * served also to those who cannot see the server's process, and before there is a header. Clients
 * can open meta to read only, and one who can do no more can neither take the lock nor seem to have
 * it. */
#ifndef GA_SHM_SERVER_LOCK_H
#define GA_SHM_SERVER_LOCK_H

#include <stdbool.h>

/* Take the lock, until fd and its copies are closed; fd must be open for writing. 0; -EAGAIN where
 * another server has it, or a reader locks the object against writers; or another negative errno.
 */
int ga_server_lock_take(int fd);

/* Whether one who can write the object has the lock; fd may be open for reading only. */
bool ga_server_lock_is_held(int fd);

#endif
