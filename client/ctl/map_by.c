#include "client/ctl/map_by.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const by_names[GA_MAP_BY_COUNT] = {
    [GA_MAP_BY_STATE] = "state",         [GA_MAP_BY_CLASS] = "class", [GA_MAP_BY_OWNER] = "owner",
    [GA_MAP_BY_OCCUPANCY] = "occupancy", [GA_MAP_BY_AGE] = "age",
};

const char *ga_map_by_name(enum ga_map_by by)
{
    return by_names[by];
}

int ga_map_by_of(const char *name, enum ga_map_by *ret)
{
    for (size_t i = 0; i < GA_MAP_BY_COUNT; i++) {
        if (strcmp(by_names[i], name) == 0) {
            *ret = (enum ga_map_by)i;
            return 0;
        }
    }
    return -EINVAL;
}
