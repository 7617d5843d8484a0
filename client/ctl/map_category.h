/* Which category of a map a run of pages is in, and what the categories are called. */
#ifndef GA_CTL_MAP_CATEGORY_H
#define GA_CTL_MAP_CATEGORY_H

#include "client/ctl/heap_map.h"

/* Categories by owner: the clients with most pages, by number, and which category each has. */
struct ga_map_owners {
    uint8_t category[GA_CLIENT_COUNT + 1];
};

/* Fill in the map's categories, for its by. npages_of: by client number, for the owners. */
void ga_map_name_categories(struct ga_map *map, const uint64_t *npages_of,
                            const struct ga_ctl_view *clients, struct ga_map_owners *ret_owners);

/* The category of a run, whose other members are filled in. */
uint8_t ga_map_category_of(const struct ga_map *map, const struct ga_map_owners *owners,
                           const struct ga_map_run *run);

#endif
