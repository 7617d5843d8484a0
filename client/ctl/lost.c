/* Records of one process and one stack are one place, whatever the sizes: as valgrind tells it. */
#include "client/ctl/lost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print.h"
#include "client/ctl/printable.h"

/* Of each kind so many places are shown, and of each place so many calls. */
#define PLACES_SHOWN_MAX 20u
#define CALLS_SHOWN_MAX  12u

/* ---- places ---- */

static int by_place(const void *one, const void *other)
{
    const struct ga_lost_place *a = one;
    const struct ga_lost_place *b = other;
    uint32_t a_calls = a->record->nframes - a->first;
    uint32_t b_calls = b->record->nframes - b->first;
    if (a->record->process != b->record->process)
        return a->record->process < b->record->process ? -1 : 1;
    if (a_calls != b_calls)
        return a_calls < b_calls ? -1 : 1;
    return memcmp(&a->record->pc[a->first], &b->record->pc[b->first],
                  a_calls * sizeof(a->record->pc[0]));
}

static int most_lost_first(const void *one, const void *other)
{
    const struct ga_lost_place *a = one;
    const struct ga_lost_place *b = other;
    if (a->lost_bytes != b->lost_bytes)
        return a->lost_bytes < b->lost_bytes ? 1 : -1;
    return (a->reachable_bytes < b->reachable_bytes) - (a->reachable_bytes > b->reachable_bytes);
}

static void add_record(struct ga_lost *lost, const struct ga_profile_record *record,
                       uint32_t collection)
{
    uint64_t nlost = record->collection == collection ? record->nunreached : 0;
    uint64_t nreachable = record->ninuse > nlost ? record->ninuse - nlost : 0;
    if (nlost == 0 && nreachable == 0)
        return;
    lost->places[lost->nplaces++] = (struct ga_lost_place){
        .record = record,
        .first = ga_call_first(lost->symbols, &lost->data, record),
        .lost_objects = ga_profile_objects(record, nlost),
        .lost_bytes = ga_profile_bytes(record, nlost),
        .reachable_objects = ga_profile_objects(record, nreachable),
        .reachable_bytes = ga_profile_bytes(record, nreachable),
    };
}

/* Make those of one place one. */
static void merge(struct ga_lost *lost)
{
    size_t n = 0;
    qsort(lost->places, lost->nplaces, sizeof(*lost->places), by_place);
    for (size_t i = 0; i < lost->nplaces; i++) {
        const struct ga_lost_place *place = &lost->places[i];
        struct ga_lost_place *last = n > 0 ? &lost->places[n - 1] : NULL;
        if (!last || by_place(last, place) != 0) {
            lost->places[n++] = *place;
            continue;
        }
        last->lost_objects += place->lost_objects;
        last->lost_bytes += place->lost_bytes;
        last->reachable_objects += place->reachable_objects;
        last->reachable_bytes += place->reachable_bytes;
    }
    lost->nplaces = n;
}

int ga_lost_fetch(const struct ga_ctl *ctl, uint32_t collection, struct ga_lost *ret)
{
    struct ga_lost lost = {0};
    int r = ga_profile_data_fetch(ctl, 0, &lost.data);
    if (r < 0)
        return r;
    lost.symbols = ga_symbols_new();
    lost.places = calloc(lost.data.nrecords + 1, sizeof(*lost.places));
    if (!lost.symbols || !lost.places) {
        ga_lost_fini(&lost);
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    for (size_t i = 0; i < lost.data.nrecords; i++)
        add_record(&lost, &lost.data.records[i], collection);
    merge(&lost);
    qsort(lost.places, lost.nplaces, sizeof(*lost.places), most_lost_first);
    *ret = lost;
    return 0;
}

void ga_lost_fini(struct ga_lost *lost)
{
    free(lost->places);
    ga_symbols_free(lost->symbols);
    ga_profile_data_fini(&lost->data);
    *lost = (struct ga_lost){0};
}

/* ---- in words ---- */

/* A number with a comma after each three digits. */
static const char *grouped(uint64_t number, char text[static 32])
{
    char *p = &text[31];
    *p = '\0';
    for (unsigned digits = 0; number > 0 || digits == 0; digits++, number /= 10) {
        if (digits > 0 && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + number % 10);
    }
    return p;
}

static void print_count(uint64_t objects, uint64_t bytes, FILE *out)
{
    char text[2][32];
    fprintf(out, "%s byte%s in %s object%s", grouped(bytes, text[0]), ga_print_plural(bytes),
            grouped(objects, text[1]), ga_print_plural(objects));
}

/* A name that the program has chosen, for its file or a function: it moves nobody's cursor. */
static void print_name(const char *before, const char *name, const char *after, FILE *out)
{
    char *shown = ga_printable_copy(name);
    fprintf(out, "%s%s%s", before, shown ? shown : "", after);
    free(shown);
}

static void print_call(const struct ga_lost *lost, const struct ga_profile_record *record,
                       uint32_t frame, FILE *out)
{
    uint64_t address = record->pc[frame];
    const struct ga_profile_mapping *mapping =
        ga_call_mapping(&lost->data.processes[record->process], address);
    const char *name = ga_call_name(lost->symbols, &lost->data, record, frame);
    const char *slash = mapping ? strrchr(mapping->path, '/') : NULL;
    const char *file = slash ? slash + 1 : mapping ? mapping->path : NULL;
    if (name) {
        print_name("    ", name, "", out);
        print_name(" (", file, ")\n", out);
    } else if (mapping) {
        print_name("    ", file, "", out);
        fprintf(out, "+0x%" PRIx64 "\n", address - mapping->start + mapping->offset);
    } else {
        fprintf(out, "    0x%" PRIx64 "\n", address);
    }
}

static void print_calls(const struct ga_lost *lost, const struct ga_lost_place *place, FILE *out)
{
    const struct ga_profile_record *record = place->record;
    uint32_t first = place->first;
    uint32_t end = record->nframes;
    if (end - first > CALLS_SHOWN_MAX)
        end = first + CALLS_SHOWN_MAX;
    for (uint32_t i = first; i < end; i++)
        print_call(lost, record, i, out);
    if (end < record->nframes)
        fprintf(out, "    and %" PRIu32 " more\n", record->nframes - end);
}

/* Those of what is lost, or of what is reachable. */
static void print_places(const struct ga_lost *lost, bool reachable, FILE *out)
{
    const char *what = reachable ? "reachable" : "lost";
    uint64_t left_out = 0;
    uint64_t more_objects = 0;
    uint64_t more_bytes = 0;
    uint64_t shown = 0;
    for (size_t i = 0; i < lost->nplaces; i++) {
        const struct ga_lost_place *place = &lost->places[i];
        uint64_t objects = reachable ? place->reachable_objects : place->lost_objects;
        uint64_t bytes = reachable ? place->reachable_bytes : place->lost_bytes;
        if (objects == 0)
            continue;
        if (shown++ >= PLACES_SHOWN_MAX) {
            left_out++;
            more_objects += objects;
            more_bytes += bytes;
            continue;
        }
        const struct ga_profile_process *process = &lost->data.processes[place->record->process];
        fputs("\n  ", out);
        print_count(objects, bytes, out);
        fprintf(out, " %s %s, allocated by process %" PRIu32, objects == 1 ? "is" : "are", what,
                process->pid);
        print_name(" (", process->program, ") at:\n", out);
        print_calls(lost, place, out);
    }
    if (left_out == 0)
        return;
    fprintf(out, "\n  and %" PRIu64 " more place%s, where ", left_out, ga_print_plural(left_out));
    print_count(more_objects, more_bytes, out);
    fprintf(out, " %s %s\n", more_objects == 1 ? "is" : "are", what);
}

void ga_lost_print(const struct ga_lost *lost, uint64_t lost_objects, uint64_t lost_bytes,
                   FILE *out)
{
    uint64_t objects = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < lost->nplaces; i++) {
        objects += lost->places[i].lost_objects;
        bytes += lost->places[i].lost_bytes;
    }
    print_places(lost, false, out);
    if (objects < lost_objects) {
        fputs("\n  ", out);
        print_count(lost_objects - objects, lost_bytes > bytes ? lost_bytes - bytes : 0, out);
        fputs(lost_objects - objects == 1 ? " is" : " are", out);
        fputs(" lost, and it is not known where allocated\n", out);
    }
    print_places(lost, true, out);
}

int ga_lost_print_table(const struct ga_lost *lost)
{
    static const struct ga_table_column columns[] = {
        {.title = "UNREACHABLE", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "PROGRAM", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "CALLED IN", .align = GA_TABLE_LEFT, .min_columns = 20},
    };
    size_t n = 0;
    while (n < lost->nplaces && lost->places[n].lost_objects > 0)
        n++;
    if (n == 0)
        return 0;
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < n && i < PLACES_SHOWN_MAX; i++) {
        const struct ga_lost_place *place = &lost->places[i];
        const struct ga_profile_process *process = &lost->data.processes[place->record->process];
        char calls[256];
        ga_call_line(lost->symbols, &lost->data, place->record, calls, sizeof(calls));
        ga_table_number(table, place->lost_objects);
        ga_table_size(table, place->lost_bytes);
        ga_table_number(table, process->pid);
        ga_table_cell(table, "%s", process->program);
        ga_table_cell(table, "%s", calls);
    }
    puts("\nwhere it was allocated, as far as it was sampled");
    int err = ga_print_table(table);
    if (err == 0 && n > PLACES_SHOWN_MAX)
        printf("and %zu more\n", n - PLACES_SHOWN_MAX);
    return err;
}

/* ---- as JSON ---- */

void ga_lost_json(const struct ga_lost *lost, struct ga_json *json)
{
    ga_json_begin_list(json, "places");
    for (size_t i = 0; i < lost->nplaces; i++) {
        const struct ga_lost_place *place = &lost->places[i];
        const struct ga_profile_process *process = &lost->data.processes[place->record->process];
        ga_json_begin_object(json, NULL);
        ga_json_number(json, "pid", process->pid);
        ga_json_string(json, "program", process->program);
        ga_json_number(json, "lost_objects", place->lost_objects);
        ga_json_number(json, "lost_bytes", place->lost_bytes);
        ga_json_number(json, "reachable_objects", place->reachable_objects);
        ga_json_number(json, "reachable_bytes", place->reachable_bytes);
        ga_call_json(json, lost->symbols, &lost->data, place->record);
        ga_json_end(json);
    }
    ga_json_end(json);
}
