/* Huge pages for the heap object, where /dev/shm gives any: 2 MiB of memory at a time, which every
 * process then maps with one fault. tmpfs gives them to who asks in a mapping (huge=advise), or to
 * all (huge=within_size, always), and is not asked by fallocate; so here they are touched, all
 * zero, in the server's own mapping, before fallocate commits them. */
#ifndef GA_SERVER_SHELL_HUGE_H
#define GA_SERVER_SHELL_HUGE_H

#include <stdbool.h>

#include "shm/mapping.h"

#define GA_HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/* Ask for huge pages in the mapping of the heap object from now on. Whether any are to be had,
 * which is tried out with a file of its own; if not, that is logged, and all is as without. */
bool ga_huge_begin(const struct ga_mapping *heap);

/* Have memory for those huge pages that lie whole in [offset, offset + bytes), as far as there are
 * any: of others the rest would be memory that is in no books. That is no commit: how much of it
 * there is must be asked with fallocate, which takes what is missing. Any thread. */
void ga_huge_touch(const struct ga_mapping *heap, uint64_t offset, uint64_t bytes);

#endif
