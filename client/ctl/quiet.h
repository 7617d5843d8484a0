/* A heap that nobody changes: by its server's word, which has that of each client, or, where that
 * is dead, because nobody who could is alive and no server can begin. */
#ifndef GA_CTL_QUIET_H
#define GA_CTL_QUIET_H

#include "client/ctl/command.h"
#include "shm/mapping.h"

struct ga_quiet {
    const char *heap_name;
    struct ga_mapping objects[GA_OBJECT_COUNT]; /* to be read; GA_MAPPING_NONE where not open */
    int lock_fd;                                /* has the server's lock; -1 where a server has */
    struct ga_meta_header header;               /* checked: of a living heap of this name */
    uint32_t npaused;                           /* clients that have paused for us */
};

/* Make the heap of ctl's source quiet, for which its clients have ctl->wait_ms to pause, and open
 * its objects. It lasts until ga_quiet_release; or until the source is closed and ga_quiet_end.
 * Returns 0; -EBUSY where somebody holds it up; or another negative errno; always after stderr was
 * told who or why. */
int ga_quiet_begin(const struct ga_ctl *ctl, struct ga_quiet *ret);

/* Let clients go on, and learn whether it has been quiet all the time since ga_quiet_begin, as far
 * as the server knows. 0, or a negative errno after telling on stderr. */
int ga_quiet_release(const struct ga_ctl *ctl);

void ga_quiet_end(struct ga_quiet *quiet);

/* Name a process in a line on stderr, with more behind it. */
void ga_quiet_name_process(uint32_t pid, const char *name, const char *more);

#endif
