/* The heaps that are in shared memory already: who serves one of our name, and which addresses the
 * others use. What is read there was written by another process, and is taken as a hint: it decides
 * what is refused and what is said, never what is trusted. */
#ifndef GA_SERVER_SHELL_NEIGHBOURS_H
#define GA_SERVER_SHELL_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"

struct ga_neighbour {
    char name[GA_HEAP_NAME_MAX + 1];
    bool locked; /* somebody who is alive says that it serves it */
    uint32_t
        layout_version; /* 0: it has no header as yet; of others than ours, what follows is 0 */
    bool being_made;    /* its server says that it has not finished it */
    bool blank;         /* it says nothing, not even that */
    uint32_t state;     /* GA_HEAP_... */
    uint32_t server_pid;
    uint64_t server_start_time;
    uint64_t base;
    uint64_t reserve_bytes;
    uint64_t limit_bytes;
};

/* Look at the header of the heap called name. 0; -ENOENT where there is none; -EACCES where it is
 * not ours to read; -EPERM where it is no regular file, or neither ours nor root's, and so says
 * nothing; or another negative errno. */
int ga_neighbour_read(const char *name, struct ga_neighbour *ret);

/* Whether something is in the bits or the heap object of name, or may be. */
bool ga_neighbour_has_data(const char *name);

/* Whether its server is alive. */
bool ga_neighbour_is_served(const struct ga_neighbour *neighbour);

/* Say with the meta object's fd, for as long as it is open in this process, that we serve it. Where
 * a reader's lock prevents it, that is logged, and the header alone says so. */
void ga_neighbour_announce(int meta_fd);

/* Whether a heap other than the one called name lies in part in [base, base + bytes), as far as
 * ga_neighbour_read tells; if so, which. */
bool ga_neighbours_overlap(const char *name, uint64_t base, uint64_t bytes,
                           struct ga_neighbour *ret);

#endif
