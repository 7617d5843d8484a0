/* goallocctl stats: what was allocated and freed, in all and by size class. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/ask.h"
#include "client/ctl/class_rows.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/shm_heap.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "proto/latency.h"

static bool is_shown(const struct ga_ctl *ctl, const struct ga_class_rows *rows, uint32_t class)
{
    return ctl->all || rows->row[class].mallocs > 0 || rows->row[class].spans > 0;
}

/* Requests for spans since the server began; durations as proto/latency.h rounds them. */
static void json_leases(struct ga_json *json, const Goalloc__V1__LeaseStats *leases)
{
    struct ga_latency served = ga_latency_of(leases->served, leases->n_served);
    struct ga_latency waited = ga_latency_of(leases->waited, leases->n_waited);
    ga_json_begin_object(json, "leases");
    ga_json_number(json, "requests", leases->requests);
    ga_json_number(json, "spans", leases->spans);
    ga_json_number(json, "served_p50_ns", ga_latency_quantile(&served, 0.5));
    ga_json_number(json, "served_p99_ns", ga_latency_quantile(&served, 0.99));
    ga_json_number(json, "served_max_ns", ga_latency_quantile(&served, 1));
    ga_json_number(json, "waited_p50_ns", ga_latency_quantile(&waited, 0.5));
    ga_json_number(json, "waited_p99_ns", ga_latency_quantile(&waited, 0.99));
    ga_json_number(json, "waited_max_ns", ga_latency_quantile(&waited, 1));
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const Goalloc__V1__Stats *stats,
                       const struct ga_class_rows *rows, const struct ga_recount *count)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_number(&json, "alloc_bytes", stats->alloc_bytes);
    ga_json_number(&json, "total_alloc_bytes", stats->total_alloc_bytes);
    ga_json_number(&json, "heap_objects", stats->heap_objects);
    ga_json_number(&json, "mallocs", stats->mallocs);
    ga_json_number(&json, "frees", stats->frees);
    ga_json_number(&json, "sys_bytes", stats->sys_bytes);
    ga_json_number(&json, "heap_sys_bytes", stats->heap_sys_bytes);
    ga_json_number(&json, "heap_idle_bytes", stats->heap_idle_bytes);
    ga_json_number(&json, "heap_inuse_bytes", stats->heap_inuse_bytes);
    ga_json_number(&json, "heap_released_bytes", stats->heap_released_bytes);
    ga_json_number(&json, "meta_bytes", stats->meta_bytes);
    ga_json_number(&json, "bits_bytes", stats->bits_bytes);
    if (ctl->source.socket) { /* only the server knows how meta and bits are divided */
        ga_json_number(&json, "mspan_inuse_bytes", stats->mspan_inuse_bytes);
        ga_json_number(&json, "mspan_sys_bytes", stats->mspan_sys_bytes);
        ga_json_number(&json, "mcache_inuse_bytes", stats->mcache_inuse_bytes);
        ga_json_number(&json, "mcache_sys_bytes", stats->mcache_sys_bytes);
        ga_json_number(&json, "other_sys_bytes", stats->other_sys_bytes);
    }
    ga_json_number(&json, "spans_inuse", stats->spans_inuse);
    ga_json_number(&json, "spans_leased", stats->spans_leased);
    ga_json_number(&json, "leased_bytes", stats->leased_bytes);
    if (stats->cycles) { /* as the last */
        ga_json_number(&json, "num_gc", stats->cycles->count);
        ga_json_number(&json, "next_gc_bytes", stats->cycles->next_bytes);
        ga_json_number(&json, "last_gc_ms", stats->cycles->last_end_ms);
        ga_json_number(&json, "pause_ns", stats->cycles->pause_ns);
        ga_json_number(&json, "pause_total_ns", stats->cycles->pause_total_ns);
    }
    if (stats->leases)
        json_leases(&json, stats->leases);
    if (count) {
        ga_json_number(&json, "counted_objects", count->objects);
        ga_json_number(&json, "counted_bytes", count->alloc_bytes);
    }
    ga_json_begin_list(&json, "by_class");
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        if (!is_shown(ctl, rows, c))
            continue;
        ga_json_begin_object(&json, NULL);
        ga_json_number(&json, "size_class", c);
        ga_json_number(&json, "size_bytes", ga_size_classes[c].size);
        ga_json_number(&json, "mallocs", rows->row[c].mallocs);
        ga_json_number(&json, "frees", rows->row[c].frees);
        ga_json_number(&json, "live_objects", rows->row[c].live);
        ga_json_number(&json, "live_bytes", rows->row[c].alloc_bytes);
        ga_json_number(&json, "spans", rows->row[c].spans);
        if (count)
            ga_json_number(&json, "counted_objects", count->objects_by_class[c]);
        ga_json_end(&json);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

/* What the bitmaps say, and whether the counters say the same. */
static void counted_line(struct ga_table *card, const struct ga_recount *count,
                         const struct ga_class_rows *rows)
{
    uint64_t nwrong = 0;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        nwrong += count->objects_by_class[c] != rows->row[c].live;
    char size[GA_UNITS_BYTES];
    ga_units_size(count->alloc_bytes, size);
    ga_table_cell(card, "counted");
    if (nwrong == 0)
        ga_table_cell(card, "%s in %" PRIu64 " object%s, as the counters say", size, count->objects,
                      ga_print_plural(count->objects));
    else
        ga_table_cell(
            card, "%s in %" PRIu64 " object%s; the counters of %" PRIu64 " class%s say otherwise",
            size, count->objects, ga_print_plural(count->objects), nwrong, nwrong == 1 ? "" : "es");
}

/* Of managed clients, where there were any to stand still. */
static void cycles_line(struct ga_table *card, const Goalloc__V1__CycleStats *cycles)
{
    if (!cycles || cycles->count == 0)
        return;
    char next[GA_UNITS_BYTES];
    ga_units_size(cycles->next_bytes, next);
    ga_table_cell(card, "collected");
    ga_table_cell(card, "%" PRIu64 " time%s, pauses %.1f ms in all, %.1f ms the last; next at %s",
                  cycles->count, ga_print_plural(cycles->count),
                  (double)cycles->pause_total_ns / 1e6, (double)cycles->pause_ns / 1e6,
                  cycles->next_bytes ? next : "no growth");
}

static int print_totals(const Goalloc__V1__Stats *stats, const struct ga_class_rows *rows,
                        const struct ga_recount *count)
{
    static const struct ga_table_column columns[] = {{.align = GA_TABLE_LEFT},
                                                     {.align = GA_TABLE_LEFT}};
    struct ga_table *card = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    char size[4][GA_UNITS_BYTES];
    ga_units_size(stats->alloc_bytes, size[0]);
    ga_table_cell(card, "live");
    ga_table_cell(card, "%s in %" PRIu64 " object%s", size[0], stats->heap_objects,
                  ga_print_plural(stats->heap_objects));

    if (count)
        counted_line(card, count, rows);
    ga_units_size(stats->total_alloc_bytes, size[0]);
    ga_table_cell(card, "ever");
    ga_table_cell(card, "%s in %" PRIu64 " malloc%s, %" PRIu64 " free%s", size[0], stats->mallocs,
                  ga_print_plural(stats->mallocs), stats->frees, ga_print_plural(stats->frees));

    ga_table_cell(card, "spans");
    ga_units_size(stats->leased_bytes, size[0]);
    ga_table_cell(card, "%" PRIu64 " in use, %" PRIu64 " of them leased (%s)", stats->spans_inuse,
                  stats->spans_leased, size[0]);

    ga_units_size(stats->sys_bytes, size[0]);
    ga_units_size(stats->heap_sys_bytes, size[1]);
    ga_units_size(stats->meta_bytes, size[2]);
    ga_units_size(stats->bits_bytes, size[3]);
    ga_table_cell(card, "memory");
    ga_table_cell(card, "%s: heap %s, meta %s, bits %s", size[0], size[1], size[2], size[3]);

    ga_units_size(stats->heap_inuse_bytes, size[0]);
    ga_units_size(stats->heap_idle_bytes, size[1]);
    ga_table_cell(card, "heap");
    ga_units_size(stats->heap_released_bytes, size[2]);
    ga_table_cell(card, "%s in spans, %s idle, of which %s are given back", size[0], size[1],
                  size[2]);
    cycles_line(card, stats->cycles);
    return ga_print_table(card);
}

static int print_classes(const struct ga_ctl *ctl, const struct ga_class_rows *rows,
                         const struct ga_recount *count)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLASS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "MALLOCS", .align = GA_TABLE_RIGHT},
        {.title = "FREES", .align = GA_TABLE_RIGHT},
        {.title = "LIVE", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "SPANS", .align = GA_TABLE_RIGHT},
        {.title = "COUNTED", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]) - !count);
    /* Class 0, the large objects, comes last: the table is in the order of the sizes. */
    for (uint32_t i = 1; i <= GA_SIZE_CLASS_COUNT; i++) {
        uint32_t c = i % GA_SIZE_CLASS_COUNT;
        if (!is_shown(ctl, rows, c))
            continue;
        ga_print_class_cells(table, c);
        ga_table_number(table, rows->row[c].mallocs);
        ga_table_number(table, rows->row[c].frees);
        ga_table_number(table, rows->row[c].live);
        ga_table_size(table, rows->row[c].alloc_bytes);
        ga_table_number(table, rows->row[c].spans);
        if (count)
            ga_table_number(table, count->objects_by_class[c]);
    }
    return ga_print_table(table);
}

/* Count the objects of the heap: of the copy that is looked at, or of one made now. */
static int recount(const struct ga_ctl *ctl, struct ga_recount *ret)
{
    if (ctl->source.heap)
        return ga_shm_heap_recount(ctl->source.heap, ret);
    struct ga_answer status;
    int err = ga_ask_status(ctl, &status);
    if (err < 0)
        return err;
    struct ga_shm_heap heap;
    err = ga_shm_heap_open(status.message->status->heap_name, &heap);
    if (err == 0) {
        err = ga_shm_heap_recount(&heap, ret);
        ga_shm_heap_close(&heap);
    }
    ga_answer_fini(&status);
    return err;
}

static int print(const struct ga_ctl *ctl, const Goalloc__V1__Stats *stats,
                 const struct ga_recount *count)
{
    struct ga_class_rows rows;
    ga_class_rows_collect(stats, &rows);
    if (ctl->json) {
        print_json(ctl, stats, &rows, count);
        return 0;
    }
    int err = print_totals(stats, &rows, count);
    if (err < 0)
        return err;
    putchar('\n');
    return print_classes(ctl, &rows, count);
}

int ga_ctl_stats(const struct ga_ctl *ctl)
{
    if (ctl->client)
        return ga_ctl_client_stats(ctl);
    struct ga_answer answer;
    int err = ga_ask_stats(ctl, &answer);
    if (err < 0)
        return err;
    struct ga_recount count;
    if (ctl->recount)
        err = recount(ctl, &count);
    if (err == 0)
        err = print(ctl, answer.message->stats, ctl->recount ? &count : NULL);
    ga_answer_fini(&answer);
    return err;
}
