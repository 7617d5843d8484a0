/* What the heap's memory can come from: /dev/shm, and behind it the memory of the machine and of
 * the control group. Looked at once, when the server starts. */
#ifndef GA_SERVER_SHELL_ROOM_H
#define GA_SERVER_SHELL_ROOM_H

#include <stdint.h>

#include "server/shell/options.h"

/* Whether objects can be made in /dev/shm: that it is there, a tmpfs, and to be written to. 0, or
 * -ENOENT, -EROFS or -EACCES, which has been logged. */
int ga_room_check(void);

/* Log, as warnings, why the heap will not get as far as the limit that options ask for, and that
 * not even its first objects will fit. */
void ga_room_warn(const struct ga_options *options);

/* How much /dev/shm can hold, in bytes; UINT64_MAX where it has no limit, or does not say. */
uint64_t ga_room_of_shm(void);

#endif
