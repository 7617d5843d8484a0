/* What a map is drawn from: the page table and the bitmaps, in shared memory, and from the server
 * only what it alone knows. A heap of 16 GiB has two million pages: over the socket that would be
 * tens of megabytes, and the server would serve nobody else meanwhile. */
#ifndef GA_CTL_MAP_SOURCE_H
#define GA_CTL_MAP_SOURCE_H

#include "client/ctl/heap_map.h"
#include "client/ctl/live_heap.h"

struct ga_map_source {
    struct ga_view view;
    struct ga_live_heap live; /* mapped, where there is a server */
    bool is_live;
    char heap_name[GA_HEAP_NAME_MAX + 1];
    uint8_t *ages; /* of the pages at ga_map_source_fetch_ages, NULL = not fetched */
    uint64_t npages_ages;
};

/* Find the heap that ctl's source tells of. Returns 0, for the caller to give to
 * ga_map_source_close while ctl's source is still open; or a negative errno after the reason has
 * been told on stderr. */
int ga_map_source_open(const struct ga_ctl *ctl, struct ga_map_source *ret);
void ga_map_source_close(struct ga_map_source *source);

/* Ask the server how old the spans are; with what was fetched before dropped. As above. */
int ga_map_source_fetch_ages(const struct ga_ctl *ctl, struct ga_map_source *source);

#endif
