/* Huge pages for the heap object: 2 MiB of memory at a time, which every process then maps with one
 * fault. tmpfs gives them, where its mount says so, to who asks in a mapping (huge=advise), or to
 * all (huge=within_size, always), and is not asked by fallocate; so they are touched, all zero, in
 * the server's own mapping, before fallocate commits them. Where the mount says nothing, the kernel
 * makes one of what is there of it when it is told to (MADV_COLLAPSE, Linux 6.1): that needs a page
 * of it, and then takes no longer than fallocate takes for all of them. */
#ifndef GA_SERVER_SHELL_HUGE_H
#define GA_SERVER_SHELL_HUGE_H

#include <stdbool.h>

#include "shm/mapping.h"

#define GA_HUGE_PAGE_BYTES (UINT64_C(2) << 20)

enum ga_huge { GA_HUGE_NONE, GA_HUGE_TOUCHED, GA_HUGE_COLLAPSED };

/* Ask for huge pages in the mapping of the heap object from now on. How they are to be had, which
 * is tried out with a file of its own; if not at all, that is logged, and all is as without. */
enum ga_huge ga_huge_begin(const struct ga_mapping *heap);

/* Have memory for those huge pages that lie whole in [offset, offset + bytes), as far as there are
 * any: of others the rest would be memory that is in no books. That is no commit: how much of it
 * there is must be asked with fallocate, which takes what is missing. huge: not GA_HUGE_NONE. Any
 * thread. */
void ga_huge_populate(const struct ga_mapping *heap, enum ga_huge huge, uint64_t offset,
                      uint64_t bytes);

#endif
