/* Taking memory from behind a part of a shared memory object. */
#ifndef GA_SERVER_SHELL_PUNCH_H
#define GA_SERVER_SHELL_PUNCH_H

#include <stdint.h>

/* Punch [offset, offset + bytes), whole OS pages, out of the object at fd, whose length stays. It
 * reads as zero then. 0 or negative errno. Any thread. */
int ga_punch(int fd, uint64_t offset, uint64_t bytes);

#endif
