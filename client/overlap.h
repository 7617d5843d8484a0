/* What a process has mapped where a heap is to lie. */
#ifndef GA_CLIENT_OVERLAP_H
#define GA_CLIENT_OVERLAP_H

#include <stdint.h>

#define GA_OVERLAP_BYTES 192

/* Name a mapping of this process in the bytes from address on: what the first file there is called,
 * or what else is known. Reads /proc/self/maps; the process's malloc is not called. */
void ga_overlap_name(uint64_t address, uint64_t bytes, char ret_what[static GA_OVERLAP_BYTES]);

#endif
