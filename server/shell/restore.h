/* A heap made from a snapshot. */
#ifndef GA_SERVER_SHELL_RESTORE_H
#define GA_SERVER_SHELL_RESTORE_H

#include "server/shell/options.h"
#include "server/shell/snapshot_file.h"
#include "server/shell/world.h"

/* Before anything is made or removed: whether the snapshot goes with the options, and its addresses
 * are to be had. Fills in base, reserve and limit of world. Like the next, it has logged what is
 * wrong when it returns a negative errno. */
int ga_restore_check(struct ga_world *world, const struct ga_options *options,
                     const struct ga_snapshot_file *snapshot);

/* Refuse, since a heap has the name that nobody serves. -EEXIST. */
int ga_restore_refuse_name(const struct ga_world *world);

/* Make the objects of world, fill them from the verified snapshot, and take the heap over as if its
 * server had died. Returns 0; or a negative errno, which has been logged: world is to be closed,
 * which removes what was made. */
int ga_restore(struct ga_world *world, const struct ga_snapshot_file *snapshot,
               struct ga_heap **ret);

#endif
