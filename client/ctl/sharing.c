/* goallocctl sharing: of what processes have sampled, whose objects are freed by whom: places whose
 * objects only their own process frees, which could be private to it; places that leave objects to
 * nobody, their process being gone; and the matrix of who frees whose. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/call_names.h"
#include "client/ctl/command.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/profile_data.h"
#include "client/ctl/table.h"

#define SHOWN_MAX 20u /* places of a kind */

/* The kinds of places; one may be of several. */
enum kind {
    OWN,    /* objects were freed, and all by their own process */
    SHARED, /* others have freed some */
    LEFT,   /* the process is gone, and some are in use */
    NKINDS,
};

static const char *const kind_names[NKINDS] = {"own", "shared", "left"};

static bool is_of(const struct ga_profile_data *data, const struct ga_profile_record *record,
                  enum kind kind)
{
    switch (kind) {
    case OWN:
        return record->nfree_own > 0 && record->nfree_other == 0 &&
               !(data->processes[record->process].gone && record->ninuse > 0);
    case SHARED:
        return record->nfree_other > 0;
    default:
        return data->processes[record->process].gone && record->ninuse > 0;
    }
}

/* How much of it is what makes the place of this kind. */
static uint64_t weight(const struct ga_profile_record *record, enum kind kind)
{
    uint64_t n = kind == OWN      ? record->nfree_own
                 : kind == SHARED ? record->nfree_other
                                  : record->ninuse;
    return ga_profile_bytes(record, n);
}

static int heavier_first(const void *one, const void *other, void *kind)
{
    uint64_t a = weight(one, *(const enum kind *)kind);
    uint64_t b = weight(other, *(const enum kind *)kind);
    return (a < b) - (a > b);
}

static void sort(struct ga_profile_data *data, enum kind kind)
{
    if (data->nrecords > 0)
        qsort_r(data->records, data->nrecords, sizeof(*data->records), heavier_first, &kind);
}

/* ---- for people ---- */

static int print_places(struct ga_profile_data *data, struct ga_symbols *symbols, enum kind kind)
{
    static const struct ga_table_column columns[] = {
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "ALLOCATED", .align = GA_TABLE_RIGHT},
        {.title = "IN USE", .align = GA_TABLE_RIGHT},
        {.title = "BY ITSELF", .align = GA_TABLE_RIGHT},
        {.title = "BY OTHERS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "PROGRAM", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "CALLED IN", .align = GA_TABLE_LEFT, .min_columns = 20},
    };
    static const char *const titles[NKINDS] = {
        "freed by their own process alone: these could be private to it",
        "freed by other processes too: these are shared",
        "in use, and their process is gone: unless others know of them, they are lost",
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t n = 0;
    sort(data, kind);
    for (size_t i = 0; i < data->nrecords; i++) {
        const struct ga_profile_record *record = &data->records[i];
        if (!is_of(data, record, kind) || n++ >= SHOWN_MAX)
            continue;
        char calls[256];
        ga_call_line(symbols, data, record, calls, sizeof(calls));
        ga_table_size(table, weight(record, kind));
        ga_table_number(table, ga_profile_objects(record, record->nalloc));
        ga_table_number(table, ga_profile_objects(record, record->ninuse));
        ga_table_number(table, ga_profile_objects(record, record->nfree_own));
        ga_table_number(table, ga_profile_objects(record, record->nfree_other));
        ga_table_size(table, record->size_bytes);
        ga_table_number(table, data->processes[record->process].pid);
        ga_table_cell(table, "%s", data->processes[record->process].program);
        ga_table_cell(table, "%s", calls);
    }
    if (n == 0) {
        ga_table_free(table);
        return 0;
    }
    printf("%s%zu place%s %s\n", kind == OWN ? "" : "\n", n, ga_print_plural(n), titles[kind]);
    int err = ga_print_table(table);
    if (err == 0 && n > SHOWN_MAX)
        printf("and %zu more\n", n - SHOWN_MAX);
    return err;
}

static int print_matrix(const struct ga_profile_data *data)
{
    static const struct ga_table_column columns[] = {
        {.title = "ALLOCATED BY", .align = GA_TABLE_RIGHT},
        {.title = "PROGRAM", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "FREED BY", .align = GA_TABLE_RIGHT},
        {.title = "OBJECTS", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
    };
    if (data->nfrees == 0)
        return 0;
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < data->nfrees; i++) {
        const struct ga_profile_free *freed = &data->frees[i];
        const struct ga_profile_process *process = &data->processes[freed->process];
        ga_table_number(table, process->pid);
        ga_table_cell(table, "%s", process->program);
        if (freed->by == GA_PROFILE_FREED_BY_SERVER)
            ga_table_cell(table, "server");
        else if (freed->pid == 0)
            ga_table_cell(table, "others");
        else if (freed->pid == process->pid)
            ga_table_cell(table, "itself");
        else
            ga_table_cell(table, "%" PRIu32, freed->pid);
        ga_table_number(table, freed->nobjects);
        ga_table_size(table, freed->bytes);
    }
    puts("\nwho frees whose");
    return ga_print_table(table);
}

static int print_report(struct ga_profile_data *data, struct ga_symbols *symbols)
{
    bool any = data->nfrees > 0;
    for (size_t i = 0; i < data->nrecords && !any; i++)
        any = is_of(data, &data->records[i], LEFT);
    if (!any)
        puts("nothing that was sampled was freed, or is left by a process that is gone");
    int err = 0;
    for (int kind = OWN; any && kind < NKINDS && err == 0; kind++)
        err = print_places(data, symbols, (enum kind)kind);
    if (err == 0)
        err = print_matrix(data);
    char gap[GA_PROFILE_GAP_BYTES];
    if (err == 0 && ga_profile_gap(data, gap)[0])
        printf("\n%s, and who frees them is not known\n", gap);
    return err;
}

/* ---- as JSON ---- */

static void json_place(struct ga_json *json, struct ga_symbols *symbols,
                       const struct ga_profile_data *data, const struct ga_profile_record *record)
{
    const struct ga_profile_process *process = &data->processes[record->process];
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "client", process->client);
    ga_json_number(json, "pid", process->pid);
    ga_json_string(json, "program", process->program);
    ga_json_bool(json, "gone", process->gone);
    ga_json_number(json, "size_bytes", record->size_bytes);
    ga_json_begin_list(json, "kinds");
    for (int kind = OWN; kind < NKINDS; kind++)
        if (is_of(data, record, (enum kind)kind))
            ga_json_string(json, NULL, kind_names[kind]);
    ga_json_end(json);
    ga_json_number(json, "alloc_objects", ga_profile_objects(record, record->nalloc));
    ga_json_number(json, "inuse_objects", ga_profile_objects(record, record->ninuse));
    ga_json_number(json, "untracked_objects", ga_profile_objects(record, record->nuntracked));
    ga_json_number(json, "freed_by_itself", ga_profile_objects(record, record->nfree_own));
    ga_json_number(json, "freed_by_others", ga_profile_objects(record, record->nfree_other));
    ga_json_number(json, "freed_by_server", ga_profile_objects(record, record->nfree_server));
    ga_call_json(json, symbols, data, record);
    ga_json_end(json);
}

static void json_free(struct ga_json *json, const struct ga_profile_data *data,
                      const struct ga_profile_free *freed)
{
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "allocated_by", data->processes[freed->process].pid);
    if (freed->by == GA_PROFILE_FREED_BY_SERVER || freed->pid == 0)
        ga_json_null(json, "freed_by");
    else
        ga_json_number(json, "freed_by", freed->pid);
    ga_json_bool(json, "server", freed->by == GA_PROFILE_FREED_BY_SERVER);
    ga_json_number(json, "objects", freed->nobjects);
    ga_json_number(json, "bytes", freed->bytes);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct ga_profile_data *data,
                       struct ga_symbols *symbols)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_begin_list(&json, "places");
    for (size_t i = 0; i < data->nrecords; i++)
        if (data->records[i].nalloc > 0)
            json_place(&json, symbols, data, &data->records[i]);
    ga_json_end(&json);
    ga_json_begin_list(&json, "frees");
    for (size_t i = 0; i < data->nfrees; i++)
        json_free(&json, data, &data->frees[i]);
    ga_json_end(&json);
    ga_json_end(&json);
}

int ga_ctl_sharing(const struct ga_ctl *ctl)
{
    struct ga_profile_data data;
    int r = ga_profile_data_fetch(ctl, (uint32_t)ctl->filter.pid, &data);
    if (r < 0)
        return r;
    struct ga_symbols *symbols = ga_symbols_new();
    if (!symbols) {
        fputs("goallocctl: out of memory\n", stderr);
        r = -ENOMEM;
    } else if (ctl->json) {
        print_json(ctl, &data, symbols);
    } else {
        r = print_report(&data, symbols);
    }
    ga_symbols_free(symbols);
    ga_profile_data_fini(&data);
    return r;
}
