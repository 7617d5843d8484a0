/* Runs and cells are lists of numbers, in the order that "columns" tells: there may be very many.
 */
#include "client/ctl/map_json.h"

static void write_run(struct ga_json *json, const struct ga_map_run *run)
{
    ga_json_begin_list(json, NULL);
    ga_json_number(json, NULL, run->page);
    ga_json_number(json, NULL, run->npages);
    ga_json_number(json, NULL, run->category);
    ga_json_number(json, NULL, run->state);
    ga_json_number(json, NULL, run->span_class);
    ga_json_number(json, NULL, run->slots ? ga_map_slot_bytes(run) : 0);
    ga_json_number(json, NULL, run->slots);
    ga_json_number(json, NULL, run->used);
    ga_json_number(json, NULL, run->client);
    if (run->age_s == GA_MAP_AGE_UNKNOWN)
        ga_json_null(json, NULL);
    else
        ga_json_number(json, NULL, run->age_s);
    ga_json_end(json);
}

static void write_runs(struct ga_json *json, const struct ga_map *map)
{
    static const char *const columns[] = {"page",       "npages",     "category", "state",
                                          "span_class", "slot_bytes", "slots",    "used",
                                          "client",     "age_s"};
    ga_json_begin_list(json, "columns");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        ga_json_string(json, NULL, columns[i]);
    ga_json_end(json);
    ga_json_begin_list(json, "states");
    for (unsigned i = 0; i < GA_MAP_STATE_COUNT; i++)
        ga_json_string(json, NULL, ga_map_state_name((enum ga_map_state)i));
    ga_json_end(json);
    ga_json_begin_list(json, "runs");
    for (size_t i = 0; i < map->nruns; i++)
        write_run(json, &map->runs[i]);
    ga_json_end(json);
}

static void write_cells(struct ga_json *json, const struct ga_map *map)
{
    ga_json_number(json, "pages_per_cell", map->pages_per_cell);
    ga_json_begin_list(json, "cells");
    for (size_t i = 0; i < map->ncells; i++) {
        ga_json_begin_list(json, NULL);
        for (size_t k = 0; k < map->ncategories; k++)
            ga_json_number(json, NULL, map->counts[i * map->ncategories + k]);
        ga_json_end(json);
    }
    ga_json_end(json);
}

void ga_map_write_json(const struct ga_map *map, struct ga_json *json)
{
    ga_json_address(json, "base", map->base);
    ga_json_number(json, "page_bytes", GA_PAGE_SIZE);
    ga_json_number(json, "arena_npages", GA_PAGES_PER_ARENA);
    ga_json_number(json, "heap_npages", map->heap_npages);
    ga_json_number(json, "from_page", map->from_page);
    ga_json_number(json, "end_page", map->end_page);
    ga_json_string(json, "by", ga_map_by_name(map->by));
    ga_json_begin_list(json, "categories");
    for (size_t i = 0; i < map->ncategories; i++) {
        ga_json_begin_object(json, NULL);
        ga_json_string(json, "key", map->categories[i].key);
        ga_json_string(json, "label", map->categories[i].label);
        ga_json_number(json, "npages", map->categories[i].npages);
        ga_json_end(json);
    }
    ga_json_end(json);
    if (map->pages_per_cell)
        write_cells(json, map);
    else
        write_runs(json, map);
}
