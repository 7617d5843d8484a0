/* goallocctl profile: who has allocated what is in use, and what was ever allocated, as far as it
 * was sampled: as a table, as JSON, or as a file of pprof; and how densely processes sample. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/call_names.h"
#include "client/ctl/command.h"
#include "client/ctl/json.h"
#include "client/ctl/new_file.h"
#include "client/ctl/pprof.h"
#include "client/ctl/print.h"
#include "client/ctl/profile_data.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

/* ---- the rate ---- */

static int set_rate(const struct ga_ctl *ctl)
{
    Goalloc__V1__SetProfileRate body = GOALLOC__V1__SET_PROFILE_RATE__INIT;
    body.pid = (uint32_t)ctl->filter.pid;
    body.rate_bytes = ctl->rate_bytes;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_SET_PROFILE_RATE;
    request.set_profile_rate = &body;
    struct ga_answer answer;
    int r = ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, &answer);
    if (r == 0)
        ga_answer_fini(&answer);
    return r;
}

/* ---- a file ---- */

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes += written;
        n -= (size_t)written;
    }
    return 0;
}

static int keep_file(const char *path, const uint8_t *bytes, size_t n)
{
    struct ga_new_file file = {.fd = -1};
    int r = ga_new_file_open(path, &file);
    if (r < 0)
        return r;
    r = write_all(file.fd, bytes, n);
    if (r == 0)
        r = ga_new_file_flush(&file);
    if (r < 0)
        fprintf(stderr, "goallocctl: %s: cannot be written: %s\n", path, strerror(-r));
    else
        r = ga_new_file_commit(&file);
    ga_new_file_abandon(&file);
    return r;
}

static int write_file(const struct ga_ctl *ctl)
{
    uint8_t *bytes;
    size_t n;
    int r = ga_pprof_fetch(ctl, (uint32_t)ctl->filter.pid,
                           ctl->allocs ? GA_PPROF_ALLOCS : GA_PPROF_HEAP, &bytes, &n);
    if (r < 0)
        return r;
    r = keep_file(ctl->output, bytes, n);
    free(bytes);
    return r;
}

/* ---- for people and programs ---- */

#define SHOWN_MAX 40u

struct shown {
    const struct ga_profile_data *data;
    struct ga_symbols *symbols;
    bool allocs;
};

static uint64_t weight(const struct shown *shown, const struct ga_profile_record *record)
{
    return ga_profile_bytes(record, shown->allocs ? record->nalloc : record->ninuse);
}

static int heavier_first(const void *one, const void *other, void *data)
{
    uint64_t a = weight(data, one);
    uint64_t b = weight(data, other);
    return (a < b) - (a > b);
}

static int print_table(const struct shown *shown)
{
    static const struct ga_table_column columns[] = {
        {.title = "IN USE", .align = GA_TABLE_RIGHT},
        {.title = "OBJECTS", .align = GA_TABLE_RIGHT},
        {.title = "ALLOCATED", .align = GA_TABLE_RIGHT},
        {.title = "OBJECTS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "PROGRAM", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "CALLED IN", .align = GA_TABLE_LEFT, .min_columns = 20},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    size_t nshown = 0;
    for (size_t i = 0; i < shown->data->nrecords && nshown < SHOWN_MAX; i++) {
        const struct ga_profile_record *record = &shown->data->records[i];
        if (weight(shown, record) == 0)
            continue;
        const struct ga_profile_process *process = &shown->data->processes[record->process];
        char calls[256];
        ga_call_line(shown->symbols, shown->data, record, calls, sizeof(calls));
        ga_table_size(table, ga_profile_bytes(record, record->ninuse));
        ga_table_number(table, ga_profile_objects(record, record->ninuse));
        ga_table_size(table, ga_profile_bytes(record, record->nalloc));
        ga_table_number(table, ga_profile_objects(record, record->nalloc));
        ga_table_size(table, record->size_bytes);
        ga_table_cell(table, "%" PRIu32 "%s", process->pid, process->gone ? " (gone)" : "");
        ga_table_cell(table, "%s", process->program);
        ga_table_cell(table, "%s", calls);
        nshown++;
    }
    char gap[GA_PROFILE_GAP_BYTES];
    ga_profile_gap(shown->data, gap);
    int err = 0;
    if (nshown > 0) {
        err = ga_print_table(table);
    } else {
        ga_table_free(table);
        puts(gap[0] ? "nothing that was sampled is known to be in use" : "nothing was sampled");
    }
    if (err == 0 && gap[0])
        printf("\n%s\n", gap);
    return err;
}

static void json_process(struct ga_json *json, const struct ga_profile_process *process)
{
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "client", process->client);
    ga_json_number(json, "pid", process->pid);
    ga_json_string(json, "program", process->program);
    ga_json_bool(json, "gone", process->gone);
    ga_json_number(json, "dropped_samples", process->ndropped);
    ga_json_end(json);
}

static void json_record(struct ga_json *json, const struct shown *shown,
                        const struct ga_profile_record *record)
{
    const struct ga_profile_process *process = &shown->data->processes[record->process];
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "client", process->client);
    ga_json_number(json, "pid", process->pid);
    ga_json_number(json, "size_bytes", record->size_bytes);
    ga_json_number(json, "rate_bytes", record->rate_bytes);
    ga_json_number(json, "alloc_samples", record->nalloc);
    ga_json_number(json, "inuse_samples", record->ninuse);
    ga_json_number(json, "untracked_samples", record->nuntracked);
    ga_json_number(json, "alloc_objects", ga_profile_objects(record, record->nalloc));
    ga_json_number(json, "alloc_bytes", ga_profile_bytes(record, record->nalloc));
    ga_json_number(json, "inuse_objects", ga_profile_objects(record, record->ninuse));
    ga_json_number(json, "inuse_bytes", ga_profile_bytes(record, record->ninuse));
    ga_json_number(json, "untracked_objects", ga_profile_objects(record, record->nuntracked));
    ga_json_number(json, "untracked_bytes", ga_profile_bytes(record, record->nuntracked));
    ga_call_json(json, shown->symbols, shown->data, record);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct shown *shown)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_number(&json, "rate_bytes", shown->data->rate_bytes);
    ga_json_begin_list(&json, "processes");
    for (size_t i = 0; i < shown->data->nprocesses; i++)
        json_process(&json, &shown->data->processes[i]);
    ga_json_end(&json);
    ga_json_begin_list(&json, "sites");
    for (size_t i = 0; i < shown->data->nrecords; i++)
        if (shown->data->records[i].nalloc > 0)
            json_record(&json, shown, &shown->data->records[i]);
    ga_json_end(&json);
    ga_json_end(&json);
}

static int show(const struct ga_ctl *ctl)
{
    struct ga_profile_data data;
    int r = ga_profile_data_fetch(ctl, (uint32_t)ctl->filter.pid, &data);
    if (r < 0)
        return r;
    struct shown shown = {.data = &data, .symbols = ga_symbols_new(), .allocs = ctl->allocs};
    if (!shown.symbols) {
        fputs("goallocctl: out of memory\n", stderr);
        r = -ENOMEM;
    } else {
        if (data.nrecords > 0)
            qsort_r(data.records, data.nrecords, sizeof(*data.records), heavier_first, &shown);
        if (ctl->json)
            print_json(ctl, &shown);
        else
            r = print_table(&shown);
    }
    ga_symbols_free(shown.symbols);
    ga_profile_data_fini(&data);
    return r;
}

int ga_ctl_profile(const struct ga_ctl *ctl)
{
    if (ctl->rate_given)
        return set_rate(ctl);
    return ctl->output ? write_file(ctl) : show(ctl);
}
