/* goallocctl arenas: what is behind the heap's addresses, 64 MiB by 64 MiB. Arenas that are not
 * committed yet are all alike, so a run of them takes one line. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/layout.h"

static const char *state_name(uint32_t state)
{
    static const char *const names[] = {
        [GA_ARENA_RESERVED] = "Reserved",
        [GA_ARENA_PREPARED] = "Prepared",
        [GA_ARENA_READY] = "Ready",
    };
    return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

static uint64_t address_of(uint64_t base, uint64_t index)
{
    return base + index * GA_ARENA_SIZE;
}

static uint32_t free_npages(const Goalloc__V1__ArenaInfo *arena)
{
    return arena->ready_npages > arena->inuse_npages ? arena->ready_npages - arena->inuse_npages
                                                     : 0;
}

static void print_json(const struct ga_ctl *ctl, uint64_t base, const struct ga_parts *parts)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_address(&json, "base", base);
    ga_json_number(&json, "arena_bytes", GA_ARENA_SIZE);
    ga_json_number(&json, "page_bytes", GA_PAGE_SIZE);
    ga_json_begin_list(&json, "arenas");
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ArenaList *list = parts->answers[i].message->arena_list;
        for (size_t k = 0; k < list->n_arenas; k++) {
            const Goalloc__V1__ArenaInfo *arena = list->arenas[k];
            ga_json_begin_object(&json, NULL);
            ga_json_number(&json, "index", arena->index);
            ga_json_number(&json, "count", arena->count);
            ga_json_address(&json, "address", address_of(base, arena->index));
            ga_json_string(&json, "state", state_name(arena->state));
            ga_json_number(&json, "ready_npages", arena->ready_npages);
            ga_json_number(&json, "inuse_npages", arena->inuse_npages);
            ga_json_number(&json, "free_npages", free_npages(arena));
            ga_json_end(&json);
        }
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static void table_arena(struct ga_table *table, uint64_t base, const Goalloc__V1__ArenaInfo *arena)
{
    if (arena->count > 1)
        ga_table_cell(table, "%" PRIu32 "-%" PRIu64, arena->index,
                      (uint64_t)arena->index + arena->count - 1);
    else
        ga_table_number(table, arena->index);
    ga_table_cell(table, "0x%" PRIx64, address_of(base, arena->index));
    ga_table_size(table, arena->count * GA_ARENA_SIZE);
    ga_table_cell(table, "%s", state_name(arena->state));
    if (arena->state != GA_ARENA_READY) {
        for (int i = 0; i < 4; i++)
            ga_table_cell(table, "-");
        return;
    }
    char share[GA_UNITS_BYTES];
    ga_units_share(arena->inuse_npages, arena->ready_npages, share);
    ga_table_number(table, arena->ready_npages);
    ga_table_number(table, arena->inuse_npages);
    ga_table_number(table, free_npages(arena));
    ga_table_cell(table, "%s", share);
}

static int print_arenas(uint64_t base, const struct ga_parts *parts)
{
    static const struct ga_table_column columns[] = {
        {.title = "ARENA", .align = GA_TABLE_RIGHT}, {.title = "ADDRESS", .align = GA_TABLE_LEFT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},  {.title = "STATE", .align = GA_TABLE_LEFT},
        {.title = "READY", .align = GA_TABLE_RIGHT}, {.title = "IN USE", .align = GA_TABLE_RIGHT},
        {.title = "FREE", .align = GA_TABLE_RIGHT},  {.title = "USED", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    uint64_t ready = 0;
    uint64_t inuse = 0;
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ArenaList *list = parts->answers[i].message->arena_list;
        for (size_t k = 0; k < list->n_arenas; k++) {
            table_arena(table, base, list->arenas[k]);
            ready += list->arenas[k]->ready_npages;
            inuse += list->arenas[k]->inuse_npages;
        }
    }
    int err = ga_print_table(table);
    if (err < 0)
        return err;
    char size[2][GA_UNITS_BYTES];
    ga_units_size(ready * GA_PAGE_SIZE, size[0]);
    ga_units_size(inuse * GA_PAGE_SIZE, size[1]);
    printf("\n%" PRIu64 " pages ready (%s), %" PRIu64 " in use (%s)\n", ready, size[0], inuse,
           size[1]);
    return 0;
}

int ga_ctl_arenas(const struct ga_ctl *ctl)
{
    struct ga_answer status;
    int err = ga_ask_status(ctl, &status);
    if (err < 0)
        return err;
    uint64_t base = status.message->status->heap_base;
    ga_answer_fini(&status);
    struct ga_parts parts;
    err = ga_ask_arenas(ctl, &parts);
    if (err < 0)
        return err;
    if (ctl->json)
        print_json(ctl, base, &parts);
    else
        err = print_arenas(base, &parts);
    ga_parts_fini(&parts);
    return err;
}
