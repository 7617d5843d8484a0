/* goallocctl stats --client: what one attached process allocated and freed, by size class, and what
 * it may allocate from. */
#include "client/ctl/command.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/size_class.h"

/* What is said of a class; all zeros of one that the answer does not name. */
static Goalloc__V1__ClientClassStats class_of(const Goalloc__V1__ClientStats *stats,
                                              uint32_t size_class)
{
    for (size_t i = 0; i < stats->n_by_class; i++)
        if (stats->by_class[i]->size_class == size_class)
            return *stats->by_class[i];
    return (Goalloc__V1__ClientClassStats){.size_class = size_class};
}

static bool is_shown(const struct ga_ctl *ctl, const Goalloc__V1__ClientClassStats *class)
{
    return ctl->all || class->mallocs > 0 || class->frees > 0 || class->leased_spans > 0;
}

static void print_json(const struct ga_ctl *ctl, const Goalloc__V1__ClientStats *stats)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_number(&json, "client", stats->client);
    ga_json_number(&json, "pid", stats->pid);
    ga_json_string(&json, "name", stats->name);
    ga_json_number(&json, "mallocs", stats->mallocs);
    ga_json_number(&json, "frees", stats->frees);
    ga_json_number(&json, "allocated_bytes", stats->alloc_bytes);
    ga_json_number(&json, "freed_bytes", stats->free_bytes);
    ga_json_number(&json, "mcaches", stats->mcaches);
    ga_json_number(&json, "leased_spans", stats->leased_spans);
    ga_json_number(&json, "leased_bytes", stats->leased_bytes);
    ga_json_begin_list(&json, "by_class");
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        Goalloc__V1__ClientClassStats class = class_of(stats, c);
        if (!is_shown(ctl, &class))
            continue;
        ga_json_begin_object(&json, NULL);
        ga_json_number(&json, "size_class", c);
        ga_json_number(&json, "size_bytes", ga_size_classes[c].size);
        ga_json_number(&json, "mallocs", class.mallocs);
        ga_json_number(&json, "frees", class.frees);
        ga_json_number(&json, "allocated_bytes", class.alloc_bytes);
        ga_json_number(&json, "freed_bytes", class.free_bytes);
        ga_json_number(&json, "leased_spans", class.leased_spans);
        ga_json_end(&json);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static int print_totals(const Goalloc__V1__ClientStats *stats)
{
    static const struct ga_table_column columns[] = {{.align = GA_TABLE_LEFT},
                                                     {.align = GA_TABLE_LEFT}};
    struct ga_table *card = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    char size[GA_UNITS_BYTES];
    ga_table_cell(card, "client");
    ga_table_cell(card, "%" PRIu32 ": %s, pid %" PRIu32, stats->client, stats->name, stats->pid);
    ga_units_size(stats->alloc_bytes, size);
    ga_table_cell(card, "allocated");
    ga_table_cell(card, "%s in %" PRIu64 " malloc%s", size, stats->mallocs,
                  ga_print_plural(stats->mallocs));
    ga_units_size(stats->free_bytes, size);
    ga_table_cell(card, "freed");
    ga_table_cell(card, "%s in %" PRIu64 " free%s", size, stats->frees,
                  ga_print_plural(stats->frees));
    ga_units_size(stats->leased_bytes, size);
    ga_table_cell(card, "leased");
    ga_table_cell(card, "%s in %" PRIu64 " span%s, by %" PRIu32 " mcache%s", size,
                  stats->leased_spans, ga_print_plural(stats->leased_spans), stats->mcaches,
                  ga_print_plural(stats->mcaches));
    return ga_print_table(card);
}

static int print_classes(const struct ga_ctl *ctl, const Goalloc__V1__ClientStats *stats)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLASS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "MALLOCS", .align = GA_TABLE_RIGHT},
        {.title = "FREES", .align = GA_TABLE_RIGHT},
        {.title = "ALLOCATED", .align = GA_TABLE_RIGHT},
        {.title = "FREED", .align = GA_TABLE_RIGHT},
        {.title = "SPANS", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 1; i <= GA_SIZE_CLASS_COUNT; i++) {
        Goalloc__V1__ClientClassStats class = class_of(stats, i % GA_SIZE_CLASS_COUNT);
        if (!is_shown(ctl, &class))
            continue;
        ga_print_class_cells(table, class.size_class);
        ga_table_number(table, class.mallocs);
        ga_table_number(table, class.frees);
        ga_table_size(table, class.alloc_bytes);
        ga_table_size(table, class.free_bytes);
        ga_table_number(table, class.leased_spans);
    }
    return ga_print_table(table);
}

int ga_ctl_client_stats(const struct ga_ctl *ctl)
{
    struct ga_answer answer;
    int err = ga_ask_client_stats(ctl, ctl->client, &answer);
    if (err < 0)
        return err;
    const Goalloc__V1__ClientStats *stats = answer.message->client_stats;
    if (ctl->json) {
        print_json(ctl, stats);
    } else {
        err = print_totals(stats);
        putchar('\n');
        if (err == 0)
            err = print_classes(ctl, stats);
    }
    ga_answer_fini(&answer);
    return err;
}
