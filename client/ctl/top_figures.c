#include "client/ctl/top_figures.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/units.h"
#include "shm/layout.h"

void ga_top_sample_fini(struct ga_top_sample *sample)
{
    free(sample->clients);
    free(sample->arenas);
    *sample = (struct ga_top_sample){0};
}

/* ---- texts ---- */

void ga_top_rate_text(double rate, char ret[static GA_TOP_CELL_BYTES])
{
    static const char units[] = {'\0', 'K', 'M', 'G', '\0'};
    size_t i = 0;
    for (; rate >= 999.5 && units[i + 1] != '\0'; i++)
        rate /= 1000;
    bool tenths = rate >= 0.05 && rate < 9.95 && (i > 0 || rate < 0.95);
    snprintf(ret, GA_TOP_CELL_BYTES, "%.*f%.1s", tenths ? 1 : 0, rate, i ? &units[i] : "");
}

void ga_top_time_text(uint64_t ns, char ret[static GA_TOP_CELL_BYTES])
{
    if (ns == 0)
        snprintf(ret, GA_TOP_CELL_BYTES, "-");
    else if (ns < 999500)
        snprintf(ret, GA_TOP_CELL_BYTES, "%.0f us", (double)ns / 1e3);
    else if (ns < 999500000)
        snprintf(ret, GA_TOP_CELL_BYTES, "%.*f ms", ns < 9950000 ? 1 : 0, (double)ns / 1e6);
    else
        snprintf(ret, GA_TOP_CELL_BYTES, "%.1f s", (double)ns / 1e9);
}

/* ---- rates ---- */

/* Counters are read while others count, and may be wrong by some: never less than 0. */
static double per_second(uint64_t before, uint64_t now, double seconds)
{
    return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static double seconds_between(const struct ga_top_sample *before, const struct ga_top_sample *now)
{
    bool same = before && before->server_pid == now->server_pid && before->base == now->base &&
                now->time_ns > before->time_ns;
    return same ? (double)(now->time_ns - before->time_ns) / 1e9 : 0;
}

static struct ga_latency difference(const struct ga_latency *before, const struct ga_latency *now)
{
    struct ga_latency d;
    for (unsigned i = 0; i < GA_LATENCY_COUNTS; i++)
        d.count[i] = now->count[i] > before->count[i] ? now->count[i] - before->count[i] : 0;
    return d;
}

void ga_top_get_rates(const struct ga_top_sample *before, const struct ga_top_sample *now,
                      struct ga_top_rates *ret)
{
    double s = seconds_between(before, now);
    *ret = (struct ga_top_rates){0};
    if (s <= 0)
        return;
    ret->mallocs = per_second(before->mallocs, now->mallocs, s);
    ret->frees = per_second(before->frees, now->frees, s);
    ret->lease_requests = per_second(before->lease_requests, now->lease_requests, s);
    ret->lease_spans = per_second(before->lease_spans, now->lease_spans, s);
    ret->cpu_share = per_second(before->cpu_ns, now->cpu_ns, s) / 1e9;
    struct ga_latency served = difference(&before->served, &now->served);
    struct ga_latency waited = difference(&before->waited, &now->waited);
    ret->served_p50 = ga_latency_quantile(&served, 0.5);
    ret->served_p99 = ga_latency_quantile(&served, 0.99);
    ret->waited_p50 = ga_latency_quantile(&waited, 0.5);
    ret->waited_p99 = ga_latency_quantile(&waited, 0.99);
}

/* ---- rows ---- */

static const struct ga_top_column process_columns[] = {
    {"PID", 7, false, 0},      {"NAME", 15, true, 0},   {"LEASED", 8, false, 0},
    {"SHARE", 6, false, 2},    {"SPANS", 7, false, 4},  {"MCACHES", 7, false, 7},
    {"MALLOC/s", 8, false, 1}, {"FREE/s", 7, false, 3}, {"MALLOCS", 7, false, 6},
    {"FREES", 7, false, 8},    {"AGE", 7, false, 5},    {"STATE", 11, true, 9},
};
enum {
    P_PID,
    P_NAME,
    P_LEASED,
    P_SHARE,
    P_SPANS,
    P_MCACHES,
    P_MALLOC_RATE,
    P_FREE_RATE,
    P_MALLOCS,
    P_FREES,
    P_AGE,
    P_STATE
};

static const struct ga_top_column class_columns[] = {
    {"CLASS", 5, false, 0},  {"SIZE", 8, false, 0},    {"SPANS", 7, false, 3},
    {"HELD", 8, false, 2},   {"USED", 8, false, 0},    {"USE", 6, false, 1},
    {"WASTE", 8, false, 0},  {"LIVE", 9, false, 4},    {"MALLOC/s", 8, false, 5},
    {"FREE/s", 7, false, 6}, {"MALLOCS", 7, false, 7},
};
enum {
    C_CLASS,
    C_SIZE,
    C_SPANS,
    C_HELD,
    C_USED,
    C_USE,
    C_WASTE,
    C_LIVE,
    C_MALLOC_RATE,
    C_FREE_RATE,
    C_MALLOCS
};

static const struct ga_top_column arena_columns[] = {
    {"ARENA", 6, false, 0}, {"ADDRESS", 14, true, 1}, {"STATE", 8, true, 0},
    {"READY", 8, false, 2}, {"IN USE", 8, false, 0},  {"USE", 6, false, 0},
};
enum { A_ARENA, A_ADDRESS, A_STATE, A_READY, A_INUSE, A_USE };

static const struct {
    const struct ga_top_column *columns;
    size_t count;
    size_t first;
} views[GA_TOP_VIEWS] = {
    [GA_TOP_PROCESSES] = {process_columns, sizeof(process_columns) / sizeof(process_columns[0]),
                          P_LEASED},
    [GA_TOP_CLASSES] = {class_columns, sizeof(class_columns) / sizeof(class_columns[0]), C_WASTE},
    [GA_TOP_ARENAS] = {arena_columns, sizeof(arena_columns) / sizeof(arena_columns[0]), A_ARENA},
};

const struct ga_top_column *ga_top_columns(enum ga_top_view view, size_t *ret_count)
{
    *ret_count = views[view].count;
    return views[view].columns;
}

size_t ga_top_first_column(enum ga_top_view view)
{
    return views[view].first;
}

static void set_text(struct ga_top_row *row, size_t column, const char *text)
{
    snprintf(row->cell[column], GA_TOP_CELL_BYTES, "%s", text);
}

static void set_number(struct ga_top_row *row, size_t column, uint64_t number)
{
    snprintf(row->cell[column], GA_TOP_CELL_BYTES, "%" PRIu64, number);
    row->key[column] = (double)number;
}

static void set_size(struct ga_top_row *row, size_t column, uint64_t bytes)
{
    char text[GA_UNITS_BYTES];
    ga_units_size(bytes, text);
    set_text(row, column, text);
    row->key[column] = (double)bytes;
}

static void set_share(struct ga_top_row *row, size_t column, uint64_t part, uint64_t whole)
{
    char text[GA_UNITS_BYTES];
    ga_units_share(part, whole, text);
    set_text(row, column, text);
    row->key[column] = whole ? (double)part / (double)whole : 0;
}

static void set_rate(struct ga_top_row *row, size_t column, double rate)
{
    ga_top_rate_text(rate, row->cell[column]);
    row->key[column] = rate;
}

/* A count that grows without end, in as few places as a rate. */
static void set_count(struct ga_top_row *row, size_t column, uint64_t count)
{
    set_rate(row, column, (double)count);
}

static const struct ga_top_client *find_client(const struct ga_top_sample *sample,
                                               const struct ga_top_client *like)
{
    for (size_t i = 0; sample && i < sample->nclients; i++)
        if (sample->clients[i].client == like->client && sample->clients[i].pid == like->pid)
            return &sample->clients[i];
    return NULL;
}

static void fill_client(const struct ga_top_sample *before, const struct ga_top_sample *now,
                        size_t i, struct ga_top_row *row)
{
    const struct ga_top_client *client = &now->clients[i];
    const struct ga_top_client *old = find_client(before, client);
    double s = old ? seconds_between(before, now) : 0;
    char age[GA_UNITS_BYTES];
    set_number(row, P_PID, client->pid);
    set_text(row, P_NAME, client->name);
    set_size(row, P_LEASED, client->leased_bytes);
    set_share(row, P_SHARE, client->leased_bytes, now->inuse_bytes);
    set_number(row, P_SPANS, client->spans);
    set_number(row, P_MCACHES, client->mcaches);
    set_rate(row, P_MALLOC_RATE, old ? per_second(old->mallocs, client->mallocs, s) : 0);
    set_rate(row, P_FREE_RATE, old ? per_second(old->frees, client->frees, s) : 0);
    set_count(row, P_MALLOCS, client->mallocs);
    set_count(row, P_FREES, client->frees);
    ga_units_duration(client->attached_ms, age);
    set_text(row, P_AGE, age);
    row->key[P_AGE] = (double)client->attached_ms;
    set_text(row, P_STATE, client->state);
}

/* Bytes of the spans of a class; what is large has spans as long as its objects. */
static uint64_t held_bytes(const struct ga_top_class *class, uint32_t c)
{
    if (c == 0)
        return class->alloc_bytes;
    uint64_t bytes = class->spans * ga_size_classes[c].npages * GA_PAGE_SIZE;
    return bytes > class->alloc_bytes ? bytes : class->alloc_bytes;
}

static void fill_class(const struct ga_top_sample *before, const struct ga_top_sample *now,
                       uint32_t c, struct ga_top_row *row)
{
    const struct ga_top_class *class = &now->classes[c];
    double s = seconds_between(before, now);
    uint64_t held = held_bytes(class, c);
    set_number(row, C_CLASS, c);
    if (c == 0) {
        set_text(row, C_CLASS, "large");
        set_text(row, C_SIZE, "-");
        row->key[C_CLASS] = GA_SIZE_CLASS_COUNT; /* behind the others, as its objects are longer */
        row->key[C_SIZE] = (double)GA_SMALL_MAX + 1;
    } else {
        set_size(row, C_SIZE, ga_size_classes[c].size);
    }
    set_number(row, C_SPANS, class->spans);
    set_size(row, C_HELD, held);
    set_size(row, C_USED, class->alloc_bytes);
    set_share(row, C_USE, class->alloc_bytes, held);
    set_size(row, C_WASTE, held - class->alloc_bytes);
    set_count(row, C_LIVE, class->mallocs > class->frees ? class->mallocs - class->frees : 0);
    set_rate(row, C_MALLOC_RATE,
             s > 0 ? per_second(before->classes[c].mallocs, class->mallocs, s) : 0);
    set_rate(row, C_FREE_RATE, s > 0 ? per_second(before->classes[c].frees, class->frees, s) : 0);
    set_count(row, C_MALLOCS, class->mallocs);
}

static void fill_arena(const struct ga_top_sample *now, size_t i, struct ga_top_row *row)
{
    static const char *const states[] = {"reserved", "prepared", "ready"};
    const struct ga_top_arena *arena = &now->arenas[i];
    char text[GA_TOP_CELL_BYTES];
    if (arena->count > 1)
        snprintf(text, sizeof(text), "%" PRIu32 "+%" PRIu32, arena->index, arena->count - 1);
    else
        snprintf(text, sizeof(text), "%" PRIu32, arena->index);
    set_text(row, A_ARENA, text);
    row->key[A_ARENA] = arena->index;
    snprintf(text, sizeof(text), "0x%" PRIx64, now->base + arena->index * GA_ARENA_SIZE);
    set_text(row, A_ADDRESS, text);
    set_text(row, A_STATE,
             arena->state < sizeof(states) / sizeof(states[0]) ? states[arena->state] : "?");
    set_size(row, A_READY, arena->ready_npages * (uint64_t)GA_PAGE_SIZE);
    set_size(row, A_INUSE, arena->inuse_npages * (uint64_t)GA_PAGE_SIZE);
    set_share(row, A_USE, arena->inuse_npages, arena->ready_npages);
}

static size_t fill_rows(enum ga_top_view view, const struct ga_top_sample *before,
                        const struct ga_top_sample *now, struct ga_top_row *rows)
{
    size_t n = 0;
    switch (view) {
    case GA_TOP_PROCESSES:
        for (; n < now->nclients; n++)
            fill_client(before, now, n, &rows[n]);
        return n;
    case GA_TOP_CLASSES:
        for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
            if (now->classes[c].spans > 0 || now->classes[c].mallocs > 0)
                fill_class(before, now, c, &rows[n++]);
        return n;
    default:
        for (; n < now->narenas; n++)
            fill_arena(now, n, &rows[n]);
        return n;
    }
}

static bool contains(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (part[i] != '\0' &&
               tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (part[i] == '\0')
            return true;
    }
    return part[0] == '\0';
}

static bool passes(const struct ga_top_row *row, size_t ncolumns, const char *filter)
{
    if (!filter || filter[0] == '\0')
        return true;
    for (size_t i = 0; i < ncolumns; i++)
        if (contains(row->cell[i], filter))
            return true;
    return false;
}

struct order {
    const struct ga_top_column *columns;
    size_t column;
    bool downwards;
};

static int compare_by(const struct ga_top_row *a, const struct ga_top_row *b,
                      const struct order *order, size_t column)
{
    if (order->columns[column].is_left)
        return strcmp(a->cell[column], b->cell[column]);
    return (a->key[column] > b->key[column]) - (a->key[column] < b->key[column]);
}

static int compare(const void *a, const void *b, void *data)
{
    const struct order *order = data;
    int by = compare_by(a, b, order, order->column);
    return by ? (order->downwards ? -by : by) : compare_by(a, b, order, 0);
}

int ga_top_make_rows(enum ga_top_view view, const struct ga_top_sample *before,
                     const struct ga_top_sample *now, const char *filter, size_t column,
                     bool downwards, struct ga_top_row **ret_rows, size_t *ret_count)
{
    size_t most = now->nclients + now->narenas + GA_SIZE_CLASS_COUNT;
    struct ga_top_row *rows = calloc(most, sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    size_t n = fill_rows(view, before, now, rows);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (passes(&rows[i], views[view].count, filter))
            rows[kept++] = rows[i];
    struct order order = {views[view].columns, column, downwards};
    qsort_r(rows, kept, sizeof(*rows), compare, &order);
    *ret_rows = rows;
    *ret_count = kept;
    return 0;
}
