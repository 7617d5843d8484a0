/* A lock on a directory, so that of two servers that start in the same moment one looks at what is
 * there only after the other has made its own. It leaves no file behind. */
#ifndef GA_SHM_DIRLOCK_H
#define GA_SHM_DIRLOCK_H

#include <stdint.h>

/* How long a server waits. Then it goes without, since whoever may read the directory can hold the
 * lock for ever, and must not keep a server from starting. */
#define GA_DIRLOCK_SERVER_MS 1000

/* Take the lock of directory; waits for it for wait_ms or little more. Returns a file descriptor to
 * give to ga_dirlock_release; or -1 when the lock is not to be had. */
int ga_dirlock_take(const char *directory, uint32_t wait_ms);

/* Release the lock; -1 is allowed. */
void ga_dirlock_release(int lock);

#endif
