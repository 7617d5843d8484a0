/* A heap that nobody changes: by its server's word, or, where that is dead, because nobody who
 * could is alive and no server can begin. */
#ifndef GA_CTL_QUIET_H
#define GA_CTL_QUIET_H

#include "client/ctl/command.h"
#include "shm/mapping.h"

struct ga_quiet {
    const char *heap_name;
    struct ga_mapping objects[GA_OBJECT_COUNT]; /* to be read; GA_MAPPING_NONE where not open */
    int lock_fd;                                /* has the server's lock; -1 where a server has */
    struct ga_meta_header header;               /* checked: of a living heap of this name */
};

/* Make the heap of ctl's source quiet and open its objects. It lasts until the source is closed and
 * ga_quiet_end. Returns 0; -EBUSY where somebody holds it up; or another negative errno; always
 * after stderr was told who or why. */
int ga_quiet_begin(const struct ga_ctl *ctl, struct ga_quiet *ret);

/* Whether it has been quiet all the time since. 0, or a negative errno after telling on stderr. */
int ga_quiet_confirm(const struct ga_ctl *ctl, const struct ga_quiet *quiet);

void ga_quiet_end(struct ga_quiet *quiet);

#endif
