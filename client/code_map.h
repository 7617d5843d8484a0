/* What code this process has mapped: of which files, and which builds of them. */
#ifndef GA_CLIENT_CODE_MAP_H
#define GA_CLIENT_CODE_MAP_H

#include "shm/layout.h"

#define GA_CODE_MAP_BUFFER_BYTES 16384u

/* Read /proc/self/maps and enter into ret, which has room for max, what of files is mapped to be
 * executed, with the build ids that lie in memory. buffer: GA_CODE_MAP_BUFFER_BYTES to work with.
 * Returns how many; 0 where it cannot be read. Allocates nothing; the descriptor it opens is closed
 * when it returns. */
uint32_t ga_code_map_read(char *buffer, struct ga_profile_mapping *ret, uint32_t max);

#endif
