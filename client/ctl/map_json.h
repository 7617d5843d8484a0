/* A map as JSON: what programs and the page of goallocctl serve read. */
#ifndef GA_CTL_MAP_JSON_H
#define GA_CTL_MAP_JSON_H

#include "client/ctl/heap_map.h"
#include "client/ctl/json.h"

/* Add the map's members to the object that is open. */
void ga_map_write_json(const struct ga_map *map, struct ga_json *json);

#endif
