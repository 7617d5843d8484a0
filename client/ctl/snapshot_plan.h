/* What of a quiet heap goes into a snapshot: the pieces of its objects that hold something. */
#ifndef GA_CTL_SNAPSHOT_PLAN_H
#define GA_CTL_SNAPSHOT_PLAN_H

#include "shm/mapping.h"
#include "shm/snapshot.h"

struct ga_snapshot_plan {
    struct ga_snapshot_extent *extents;
    uint64_t nextents;
    uint64_t capacity;
    uint64_t data_bytes;
};

/* Find the pieces. header is that of the heap, checked. Returns 0 and the plan, for
 * ga_snapshot_plan_fini; -ENOMEM; -EBADMSG where the page table is damaged; or another negative
 * errno. */
int ga_snapshot_plan_make(const struct ga_mapping objects[static GA_OBJECT_COUNT],
                          const struct ga_meta_header *header, struct ga_snapshot_plan *ret);
void ga_snapshot_plan_fini(struct ga_snapshot_plan *plan);

#endif
