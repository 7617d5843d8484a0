/* By what a map of the heap is coloured. */
#ifndef GA_CTL_MAP_BY_H
#define GA_CTL_MAP_BY_H

enum ga_map_by {
    GA_MAP_BY_STATE,
    GA_MAP_BY_CLASS,
    GA_MAP_BY_OWNER,
    GA_MAP_BY_OCCUPANCY,
    GA_MAP_BY_AGE,
    GA_MAP_BY_COUNT,
};

/* "state", "class", ... */
const char *ga_map_by_name(enum ga_map_by by);
/* Which is called so: 0, or -EINVAL where none is. */
int ga_map_by_of(const char *name, enum ga_map_by *ret);

#endif
