/* goallocctl classes: the size classes, each with the geometry of its spans, what that wastes at
 * worst, and how much of it is in use. Class 0 stands for large objects, whose spans are as long as
 * they need, so it has no geometry. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/ask.h"
#include "client/ctl/class_rows.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

/* A span of the class. */
struct geometry {
    uint64_t size; /* of a slot, bytes */
    uint64_t npages;
    uint64_t nslots;
    uint64_t tail_bytes; /* behind the last slot */
    uint64_t
        worst_bytes; /* lost in a span full of the smallest objects of the class, tail included */
};

static struct geometry geometry_of(uint32_t size_class)
{
    const struct ga_size_class *c = &ga_size_classes[size_class];
    struct geometry g = {.size = c->size, .npages = c->npages, .nslots = c->nslots};
    if (size_class == 0)
        return g;
    g.tail_bytes = g.npages * GA_PAGE_SIZE - g.nslots * g.size;
    g.worst_bytes = (g.size - ga_size_classes[size_class - 1].size - 1) * g.nslots + g.tail_bytes;
    return g;
}

static uint64_t free_slots(const struct geometry *g, const struct ga_class_row *row)
{
    uint64_t slots = row->spans * g->nslots;
    return slots > row->live ? slots - row->live : 0;
}

static void print_json(const struct ga_ctl *ctl, const struct ga_class_rows *rows)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_begin_list(&json, "classes");
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        struct geometry g = geometry_of(c);
        ga_json_begin_object(&json, NULL);
        ga_json_number(&json, "size_class", c);
        ga_json_number(&json, "size_bytes", g.size);
        ga_json_number(&json, "span_npages", g.npages);
        ga_json_number(&json, "slots", g.nslots);
        ga_json_number(&json, "tail_waste_bytes", g.tail_bytes);
        ga_json_number(&json, "worst_waste_bytes", g.worst_bytes);
        ga_json_number(&json, "spans", rows->row[c].spans);
        ga_json_number(&json, "live_objects", rows->row[c].live);
        ga_json_number(&json, "live_bytes", rows->row[c].alloc_bytes);
        ga_json_number(&json, "free_slots", free_slots(&g, &rows->row[c]));
        ga_json_end(&json);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static void table_geometry(struct ga_table *table, uint32_t size_class, const struct geometry *g)
{
    if (size_class == 0) {
        ga_table_cell(table, "large");
        for (int i = 0; i < 5; i++)
            ga_table_cell(table, "-");
        return;
    }
    char worst[GA_UNITS_BYTES];
    ga_units_share(g->worst_bytes, g->npages * GA_PAGE_SIZE, worst);
    ga_table_number(table, size_class);
    ga_table_number(table, g->size);
    ga_table_number(table, g->npages);
    ga_table_number(table, g->nslots);
    ga_table_number(table, g->tail_bytes);
    ga_table_cell(table, "%s", worst);
}

static int print_classes(const struct ga_class_rows *rows)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLASS", .align = GA_TABLE_RIGHT}, {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "PAGES", .align = GA_TABLE_RIGHT}, {.title = "SLOTS", .align = GA_TABLE_RIGHT},
        {.title = "TAIL", .align = GA_TABLE_RIGHT},  {.title = "WASTE", .align = GA_TABLE_RIGHT},
        {.title = "SPANS", .align = GA_TABLE_RIGHT}, {.title = "LIVE", .align = GA_TABLE_RIGHT},
        {.title = "FREE", .align = GA_TABLE_RIGHT},  {.title = "BYTES", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    /* Class 0, the large objects, comes last: the table is in the order of the sizes. */
    for (uint32_t i = 1; i <= GA_SIZE_CLASS_COUNT; i++) {
        uint32_t c = i % GA_SIZE_CLASS_COUNT;
        struct geometry g = geometry_of(c);
        table_geometry(table, c, &g);
        ga_table_number(table, rows->row[c].spans);
        ga_table_number(table, rows->row[c].live);
        ga_table_number(table, free_slots(&g, &rows->row[c]));
        ga_table_size(table, rows->row[c].alloc_bytes);
    }
    return ga_print_table(table);
}

int ga_ctl_classes(const struct ga_ctl *ctl)
{
    struct ga_answer answer;
    int err = ga_ask_stats(ctl, &answer);
    if (err < 0)
        return err;
    struct ga_class_rows rows;
    ga_class_rows_collect(answer.message->stats, &rows);
    ga_answer_fini(&answer);
    if (ctl->json)
        print_json(ctl, &rows);
    else
        err = print_classes(&rows);
    return err;
}
