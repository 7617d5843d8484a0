/* Records are of one process and one size; who looks for memory wants the place in the program.
 * Each record is a visit to a place: its innermost calls, by name, for the same file lies elsewhere
 * in each process. Visits are sorted by that, so those of a site lie side by side. */
#include "client/ctl/feed_sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/call_names.h"
#include "proto/text.h"

#define CALLS         4u /* by which sites are told apart */
#define SITES_MAX     50u
#define PROCESSES_MAX 8u /* that are named of a site */
#define TEXT_BYTES    256u

/* A call by its function; or, where that has no name, by the place in the file; or by the address
 * alone. */
struct call {
    const char *name;
    const char *file;
    uint64_t place;
};

struct visit {
    const struct ga_profile_record *record;
    uint32_t ncalls;
    struct call calls[CALLS];
};

struct site {
    const struct visit *visits;
    size_t nvisits;
    uint64_t inuse_objects;
    uint64_t inuse_bytes;
    uint64_t alloc_objects;
    uint64_t alloc_bytes;
    uint64_t untracked_objects;
};

struct sites {
    const struct ga_profile_data *data;
    uint64_t sequence; /* of the look */
    struct ga_symbols *symbols;
    struct visit *visits;
    size_t nvisits;
    struct site *sites;
    size_t nsites;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_calls(const struct visit *a, const struct visit *b)
{
    int order = compare_numbers(a->ncalls, b->ncalls);
    for (uint32_t i = 0; order == 0 && i < a->ncalls; i++) {
        order = compare_texts(a->calls[i].name, b->calls[i].name);
        if (order == 0)
            order = compare_texts(a->calls[i].file, b->calls[i].file);
        if (order == 0)
            order = compare_numbers(a->calls[i].place, b->calls[i].place);
    }
    return order;
}

static int by_calls(const void *one, const void *other)
{
    const struct visit *a = one;
    const struct visit *b = other;
    int order = compare_calls(a, b);
    return order ? order : compare_numbers(a->record->process, b->record->process);
}

static int most_in_use_first(const void *one, const void *other)
{
    const struct site *a = one;
    const struct site *b = other;
    return compare_numbers(b->inuse_bytes, a->inuse_bytes);
}

static struct call call_of(const struct sites *sites, const struct ga_profile_record *record,
                           uint32_t frame)
{
    uint64_t address = record->pc[frame];
    const char *name = ga_call_name(sites->symbols, sites->data, record, frame);
    if (name)
        return (struct call){.name = name};
    const struct ga_profile_mapping *mapping =
        ga_call_mapping(&sites->data->processes[record->process], address);
    if (!mapping)
        return (struct call){.place = address};
    return (struct call){.file = mapping->path,
                         .place = address - mapping->start + mapping->offset};
}

/* Up to main: what calls that is the same in all programs. */
static void add_visit(struct sites *sites, const struct ga_profile_record *record)
{
    struct visit *visit = &sites->visits[sites->nvisits++];
    *visit = (struct visit){.record = record};
    for (uint32_t frame = ga_call_first(sites->symbols, sites->data, record);
         visit->ncalls < CALLS && frame < record->nframes; frame++) {
        struct call call = call_of(sites, record, frame);
        visit->calls[visit->ncalls++] = call;
        if (call.name && strcmp(call.name, "main") == 0)
            break;
    }
}

static void add_to_site(struct sites *sites, const struct visit *visit)
{
    const struct ga_profile_record *record = visit->record;
    if (sites->nsites == 0 || compare_calls(sites->sites[sites->nsites - 1].visits, visit) != 0)
        sites->sites[sites->nsites++] = (struct site){.visits = visit};
    struct site *site = &sites->sites[sites->nsites - 1];
    site->nvisits++;
    site->inuse_objects += ga_profile_objects(record, record->ninuse);
    site->inuse_bytes += ga_profile_bytes(record, record->ninuse);
    site->alloc_objects += ga_profile_objects(record, record->nalloc);
    site->alloc_bytes += ga_profile_bytes(record, record->nalloc);
    site->untracked_objects += ga_profile_objects(record, record->nuntracked);
}

static void find(struct sites *sites)
{
    for (size_t i = 0; i < sites->data->nrecords; i++)
        if (sites->data->records[i].nalloc > 0)
            add_visit(sites, &sites->data->records[i]);
    qsort(sites->visits, sites->nvisits, sizeof(*sites->visits), by_calls);
    for (size_t i = 0; i < sites->nvisits; i++)
        add_to_site(sites, &sites->visits[i]);
    qsort(sites->sites, sites->nsites, sizeof(*sites->sites), most_in_use_first);
}

/* ---- the text ---- */

/* What files call their functions need not be UTF-8. */
static void write_call(struct ga_json *json, const struct call *call)
{
    char text[TEXT_BYTES];
    const char *slash = call->file ? strrchr(call->file, '/') : NULL;
    if (call->name)
        snprintf(text, sizeof(text), "%s", call->name);
    else if (call->file)
        snprintf(text, sizeof(text), "%.200s+0x%" PRIx64, slash ? slash + 1 : call->file,
                 call->place);
    else
        snprintf(text, sizeof(text), "0x%" PRIx64, call->place);
    ga_text_clean(text);
    ga_json_string(json, NULL, text);
}

static void write_calls(struct ga_json *json, const struct visit *visit)
{
    ga_json_begin_list(json, "calls");
    for (uint32_t i = 0; i < visit->ncalls; i++)
        write_call(json, &visit->calls[i]);
    ga_json_end(json);
}

static void write_processes(struct ga_json *json, const struct sites *sites,
                            const struct site *site)
{
    size_t n = 0;
    ga_json_begin_list(json, "processes");
    for (size_t i = 0; i < site->nvisits; i++) {
        uint32_t number = site->visits[i].record->process;
        if ((i > 0 && site->visits[i - 1].record->process == number) || n++ >= PROCESSES_MAX)
            continue;
        const struct ga_profile_process *process = &sites->data->processes[number];
        ga_json_begin_object(json, NULL);
        ga_json_number(json, "pid", process->pid);
        ga_json_string(json, "program", process->program);
        ga_json_bool(json, "gone", process->gone);
        ga_json_end(json);
    }
    ga_json_end(json);
    ga_json_number(json, "nprocesses", n);
}

static void write_site(struct ga_json *json, const struct sites *sites, const struct site *site)
{
    ga_json_begin_object(json, NULL);
    write_calls(json, site->visits);
    ga_json_number(json, "inuse_objects", site->inuse_objects);
    ga_json_number(json, "inuse_bytes", site->inuse_bytes);
    ga_json_number(json, "alloc_objects", site->alloc_objects);
    ga_json_number(json, "alloc_bytes", site->alloc_bytes);
    ga_json_number(json, "untracked_objects", site->untracked_objects);
    write_processes(json, sites, site);
    ga_json_end(json);
}

static void write_sites(FILE *out, const void *data)
{
    const struct sites *sites = data;
    struct ga_json json;
    ga_json_init(&json, out);
    ga_json_begin_object(&json, NULL);
    ga_json_number(&json, "sequence", sites->sequence);
    ga_json_number(&json, "rate_bytes", sites->data->rate_bytes);
    ga_json_number(&json, "nsites", sites->nsites);
    ga_json_begin_list(&json, "sites");
    for (size_t i = 0; i < sites->nsites && i < SITES_MAX && sites->sites[i].inuse_bytes > 0; i++)
        write_site(&json, sites, &sites->sites[i]);
    ga_json_end(&json);
    ga_json_end(&json);
}

struct ga_document *ga_feed_sites_write(const struct ga_profile_data *data, uint64_t sequence)
{
    struct sites sites = {.data = data,
                          .sequence = sequence,
                          .symbols = ga_symbols_new(),
                          .visits = calloc(data->nrecords + 1, sizeof(struct visit)),
                          .sites = calloc(data->nrecords + 1, sizeof(struct site))};
    struct ga_document *document = NULL;
    if (sites.symbols && sites.visits && sites.sites) {
        find(&sites);
        document = ga_document_write(write_sites, &sites);
    }
    free(sites.visits);
    free(sites.sites);
    ga_symbols_free(sites.symbols);
    return document;
}
