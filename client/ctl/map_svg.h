/* A map as a picture: SVG, in light and dark as the reader has it, with a title for each thing
 * drawn. */
#ifndef GA_CTL_MAP_SVG_H
#define GA_CTL_MAP_SVG_H

#include <stdio.h>

#include "client/ctl/heap_map.h"

/* At most so many runs, or cells, make a picture: a file of less than 4 MiB. */
#define GA_MAP_SVG_RUNS_MAX  9000u
#define GA_MAP_SVG_CELLS_MAX 8192u

/* Write the picture. Write errors are left to ferror(out). heap_name: of the heap, for its heading.
 * clients: for the names in titles. */
void ga_map_write_svg(const struct ga_map *map, const char *heap_name,
                      const struct ga_ctl_view *clients, FILE *out);

#endif
