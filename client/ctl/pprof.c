/* A profile refers to its strings, mappings, functions and locations by number; each has a table
 * here, with an index by hash. Samples of one place and size of a process are one. */
#include "client/ctl/pprof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>
#include <zlib.h>

#include "client/ctl/call_names.h"
#include "client/ctl/elf_symbols.h"
#include "pprof-generated/pprof.pb-c.h"

/* An array of pointers to messages or strings that grows, and where each of those is that is looked
 * for by its key: a table of places, of which half are empty at least. */
struct list {
    void **items;
    size_t n;
    size_t capacity;
    struct place *places;
    size_t nplaces; /* a power of two, or 0 */
    size_t nused;
};

struct place {
    uint64_t hash;
    size_t item_plus_1; /* 0 = empty */
};

static bool reserve(struct list *list)
{
    if (list->n < list->capacity)
        return true;
    size_t capacity = list->capacity ? 2 * list->capacity : 64;
    void **items = reallocarray(list->items, capacity, sizeof(*items));
    if (!items)
        return false;
    list->items = items;
    list->capacity = capacity;
    return true;
}

/* Whether item is the one that key names. */
typedef bool is_item_fn(const void *item, const void *key);

/* Where the item of key is, or the empty place for it. There is one. */
static struct place *find_place(const struct list *list, uint64_t hash, is_item_fn *is_item,
                                const void *key)
{
    for (size_t i = hash;; i++) {
        struct place *place = &list->places[i & (list->nplaces - 1)];
        if (place->item_plus_1 == 0 ||
            (place->hash == hash && is_item(list->items[place->item_plus_1 - 1], key)))
            return place;
    }
}

static bool make_room(struct list *list)
{
    if (2 * list->nused < list->nplaces)
        return true;
    struct list grown = *list;
    grown.nplaces = list->nplaces ? 2 * list->nplaces : 128;
    grown.places = calloc(grown.nplaces, sizeof(*grown.places));
    if (!grown.places)
        return false;
    for (size_t old = 0; old < list->nplaces; old++) {
        if (list->places[old].item_plus_1 == 0)
            continue;
        size_t i = list->places[old].hash;
        while (grown.places[i & (grown.nplaces - 1)].item_plus_1 != 0)
            i++;
        grown.places[i & (grown.nplaces - 1)] = list->places[old];
    }
    free(list->places);
    *list = grown;
    return true;
}

struct writer {
    const struct ga_profile_data *data;
    struct ga_symbols *symbols;
    struct list strings;
    struct list mappings;
    struct list functions;
    struct list locations;
    struct list samples;
    uint64_t *first_mapping; /* of each process: the id */
    bool failed;             /* for want of memory */
};

/* What was allocated, or NULL, which is noted. */
static void *keep(struct writer *writer, void *memory)
{
    writer->failed = writer->failed || !memory;
    return memory;
}

static void *add(struct writer *writer, struct list *list, size_t bytes)
{
    void *item = reserve(list) ? calloc(1, bytes) : NULL;
    if (keep(writer, item))
        list->items[list->n++] = item;
    return item;
}

/* The number in list of the item that key names, from 1; where there is none one of so many bytes
 * is made, which is the last then, and *ret_made it; else that is NULL. 0 without memory, which is
 * noted. */
static size_t find_or_add(struct writer *writer, struct list *list, uint64_t hash,
                          is_item_fn *is_item, const void *key, size_t bytes, void *ret_made)
{
    void *made = NULL;
    struct place *place = make_room(list) ? find_place(list, hash, is_item, key) : NULL;
    if (place && place->item_plus_1 == 0) {
        made = add(writer, list, bytes);
        if (made) {
            *place = (struct place){hash, list->n};
            list->nused++;
        }
    }
    memcpy(ret_made, &made, sizeof(made));
    writer->failed = writer->failed || !place;
    return place ? place->item_plus_1 : 0;
}

/* ---- strings and functions ---- */

static bool is_string(const void *item, const void *text)
{
    return strcmp(item, text) == 0;
}

static int64_t string(struct writer *writer, const char *text)
{
    char *made;
    size_t bytes = strlen(text) + 1;
    size_t number = find_or_add(writer, &writer->strings, XXH3_64bits(text, bytes), is_string, text,
                                bytes, &made);
    if (made)
        memcpy(made, text, bytes);
    return number ? (int64_t)number - 1 : 0;
}

static bool is_function(const void *item, const void *key)
{
    const Goalloc__Pprof__Function *function = item;
    const int64_t *names = key;
    return function->name == names[0] && function->filename == names[1];
}

static uint64_t function(struct writer *writer, const char *name, const char *file)
{
    Goalloc__Pprof__Function *made;
    const int64_t key[] = {string(writer, name), string(writer, file)};
    size_t id = find_or_add(writer, &writer->functions, XXH3_64bits(key, sizeof(key)), is_function,
                            key, sizeof(*made), &made);
    if (made) {
        goalloc__pprof__function__init(made);
        made->id = id;
        made->name = made->system_name = key[0];
        made->filename = key[1];
    }
    return id;
}

/* ---- mappings and locations ---- */

static void add_mapping(struct writer *writer, const struct ga_profile_mapping *mapping)
{
    char build_id[2 * sizeof(mapping->build_id) + 1] = "";
    Goalloc__Pprof__Mapping *made = add(writer, &writer->mappings, sizeof(*made));
    if (!made)
        return;
    for (unsigned i = 0; i < mapping->build_id_bytes; i++)
        snprintf(build_id + 2u * i, 3, "%02x", mapping->build_id[i]);
    goalloc__pprof__mapping__init(made);
    made->id = writer->mappings.n;
    made->memory_start = mapping->start;
    made->memory_limit = mapping->limit;
    made->file_offset = mapping->offset;
    made->filename = string(writer, mapping->path);
    made->build_id = string(writer, build_id);
}

static void add_mappings(struct writer *writer)
{
    for (size_t p = 0; p < writer->data->nprocesses; p++) {
        const struct ga_profile_process *process = &writer->data->processes[p];
        writer->first_mapping[p] = writer->mappings.n + 1;
        for (uint32_t i = 0; i < process->nmappings; i++)
            add_mapping(writer, &process->mappings[i]);
    }
}

static void name_location(struct writer *writer, Goalloc__Pprof__Location *location,
                          Goalloc__Pprof__Mapping *mapping, const char *name)
{
    Goalloc__Pprof__Line *line = keep(writer, calloc(1, sizeof(*line)));
    location->line = keep(writer, calloc(1, sizeof(*location->line)));
    if (!line || !location->line) {
        free(line);
        return;
    }
    goalloc__pprof__line__init(line);
    line->function_id = function(writer, name, writer->strings.items[mapping->filename]);
    location->line[0] = line;
    location->n_line = 1;
    mapping->has_functions = true;
}

static bool is_location(const void *item, const void *key)
{
    const Goalloc__Pprof__Location *location = item;
    const uint64_t *where = key;
    return location->address == where[0] && location->mapping_id == where[1];
}

/* The location of frame, of which there is one for each address and mapping. */
static uint64_t location(struct writer *writer, const struct ga_profile_record *record,
                         uint32_t frame)
{
    const struct ga_profile_process *process = &writer->data->processes[record->process];
    uint64_t address = record->pc[frame];
    const struct ga_profile_mapping *mapping = ga_call_mapping(process, address);
    uint64_t id =
        mapping ? writer->first_mapping[record->process] + (uint64_t)(mapping - process->mappings)
                : 0;
    Goalloc__Pprof__Location *made;
    const uint64_t key[] = {address, id};
    size_t number = find_or_add(writer, &writer->locations, XXH3_64bits(key, sizeof(key)),
                                is_location, key, sizeof(*made), &made);
    if (!made)
        return number;
    goalloc__pprof__location__init(made);
    made->id = number;
    made->mapping_id = id;
    made->address = address;
    const char *name = id ? ga_symbols_find(writer->symbols, mapping, address) : NULL;
    if (name && id <= writer->mappings.n)
        name_location(writer, made, writer->mappings.items[id - 1], name);
    return number;
}

/* ---- samples ---- */

#define NVALUES 4u
#define NLABELS 3u

static void add_label(struct writer *writer, Goalloc__Pprof__Sample *sample, const char *key,
                      const char *text, int64_t number)
{
    Goalloc__Pprof__Label *label = keep(writer, calloc(1, sizeof(*label)));
    if (!label)
        return;
    goalloc__pprof__label__init(label);
    label->key = string(writer, key);
    label->str = text ? string(writer, text) : 0;
    label->num = number;
    sample->label[sample->n_label++] = label;
}

static void add_labels(struct writer *writer, Goalloc__Pprof__Sample *sample,
                       const struct ga_profile_record *record)
{
    const struct ga_profile_process *process = &writer->data->processes[record->process];
    char pid[16];
    snprintf(pid, sizeof(pid), "%" PRIu32, process->pid);
    sample->label = keep(writer, calloc(NLABELS, sizeof(*sample->label)));
    if (!sample->label)
        return;
    add_label(writer, sample, "bytes", NULL, (int64_t)record->size_bytes);
    add_label(writer, sample, "pid", pid, 0);
    add_label(writer, sample, "program", process->program, 0);
}

static void add_sample(struct writer *writer, const struct ga_profile_record *record)
{
    Goalloc__Pprof__Sample *sample = add(writer, &writer->samples, sizeof(*sample));
    if (!sample)
        return;
    goalloc__pprof__sample__init(sample);
    uint32_t first = ga_call_first(writer->symbols, writer->data, record);
    sample->location_id = keep(writer, calloc(record->nframes + 1, sizeof(uint64_t)));
    sample->value = keep(writer, calloc(NVALUES, sizeof(int64_t)));
    if (!sample->location_id || !sample->value)
        return;
    for (uint32_t i = first; i < record->nframes; i++)
        sample->location_id[sample->n_location_id++] = location(writer, record, i);
    sample->n_value = NVALUES;
    sample->value[0] = (int64_t)ga_profile_objects(record, record->nalloc);
    sample->value[1] = (int64_t)ga_profile_bytes(record, record->nalloc);
    sample->value[2] = (int64_t)ga_profile_objects(record, record->ninuse);
    sample->value[3] = (int64_t)ga_profile_bytes(record, record->ninuse);
    add_labels(writer, sample, record);
}

/* ---- the whole ---- */

static int compress_into(const uint8_t *plain, size_t plain_bytes, uint8_t **ret, size_t *ret_bytes)
{
    z_stream stream = {0};
    /* 16 more than the window's bits: a gzip header. */
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return -ENOMEM;
    uLong bound = deflateBound(&stream, (uLong)plain_bytes);
    uint8_t *out = malloc(bound);
    int r = -ENOMEM;
    if (out) {
        stream.next_in = (Bytef *)(uintptr_t)plain;
        stream.avail_in = (uInt)plain_bytes;
        stream.next_out = out;
        stream.avail_out = (uInt)bound;
        r = deflate(&stream, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
    }
    if (r == 0) {
        *ret = out;
        *ret_bytes = stream.total_out;
    } else {
        free(out);
    }
    deflateEnd(&stream);
    return r;
}

static int pack(const Goalloc__Pprof__Profile *profile, uint8_t **ret, size_t *ret_bytes)
{
    size_t bytes = goalloc__pprof__profile__get_packed_size(profile);
    uint8_t *plain = malloc(bytes + 1);
    if (!plain)
        return -ENOMEM;
    goalloc__pprof__profile__pack(profile, plain);
    int r = compress_into(plain, bytes, ret, ret_bytes);
    free(plain);
    return r;
}

static int write_all(struct writer *writer, enum ga_pprof_default shown, uint64_t time_ms,
                     uint8_t **ret, size_t *ret_bytes)
{
    static const char *const names[NVALUES] = {"alloc_objects", "alloc_space", "inuse_objects",
                                               "inuse_space"};
    Goalloc__Pprof__ValueType types[NVALUES + 1];
    Goalloc__Pprof__ValueType *type_pointers[NVALUES];
    (void)string(writer, "");
    for (unsigned i = 0; i < NVALUES; i++) {
        goalloc__pprof__value_type__init(&types[i]);
        types[i].type = string(writer, names[i]);
        types[i].unit = string(writer, i % 2 ? "bytes" : "count");
        type_pointers[i] = &types[i];
    }
    Goalloc__Pprof__ValueType *period = &types[NVALUES];
    goalloc__pprof__value_type__init(period);
    period->type = string(writer, "space");
    period->unit = string(writer, "bytes");
    add_mappings(writer);
    for (size_t i = 0; i < writer->data->nrecords && !writer->failed; i++)
        if (writer->data->records[i].nalloc > 0)
            add_sample(writer, &writer->data->records[i]);

    Goalloc__Pprof__Profile profile = GOALLOC__PPROF__PROFILE__INIT;
    profile.sample_type = type_pointers;
    profile.n_sample_type = NVALUES;
    profile.sample = (Goalloc__Pprof__Sample **)writer->samples.items;
    profile.n_sample = writer->samples.n;
    profile.mapping = (Goalloc__Pprof__Mapping **)writer->mappings.items;
    profile.n_mapping = writer->mappings.n;
    profile.location = (Goalloc__Pprof__Location **)writer->locations.items;
    profile.n_location = writer->locations.n;
    profile.function = (Goalloc__Pprof__Function **)writer->functions.items;
    profile.n_function = writer->functions.n;
    profile.time_nanos = (int64_t)time_ms * 1000000;
    profile.period_type = period;
    profile.period = (int64_t)writer->data->rate_bytes;
    char gap[GA_PROFILE_GAP_BYTES];
    int64_t comment = string(writer, ga_profile_gap(writer->data, gap));
    if (comment != 0) {
        profile.comment = &comment;
        profile.n_comment = 1;
    }
    profile.default_sample_type = shown == GA_PPROF_ALLOCS ? string(writer, "alloc_space") : 0;
    profile.string_table = (char **)writer->strings.items;
    profile.n_string_table = writer->strings.n;
    return writer->failed ? -ENOMEM : pack(&profile, ret, ret_bytes);
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    free(list->places);
}

static void free_writer(struct writer *writer)
{
    for (size_t i = 0; i < writer->samples.n; i++) {
        Goalloc__Pprof__Sample *sample = writer->samples.items[i];
        for (size_t l = 0; l < sample->n_label; l++)
            free(sample->label[l]);
        free(sample->label);
        free(sample->value);
        free(sample->location_id);
    }
    for (size_t i = 0; i < writer->locations.n; i++) {
        Goalloc__Pprof__Location *location = writer->locations.items[i];
        if (location->n_line)
            free(location->line[0]);
        free(location->line);
    }
    free_list(&writer->samples);
    free_list(&writer->locations);
    free_list(&writer->functions);
    free_list(&writer->mappings);
    free_list(&writer->strings);
    free(writer->first_mapping);
    ga_symbols_free(writer->symbols);
}

int ga_pprof_write(const struct ga_profile_data *data, enum ga_pprof_default shown,
                   uint64_t time_ms, uint8_t **ret, size_t *ret_bytes)
{
    struct writer writer = {.data = data, .symbols = ga_symbols_new()};
    writer.first_mapping = keep(&writer, calloc(data->nprocesses + 1, sizeof(uint64_t)));
    int r = writer.symbols && writer.first_mapping
                ? write_all(&writer, shown, time_ms, ret, ret_bytes)
                : -ENOMEM;
    free_writer(&writer);
    return r;
}

int ga_pprof_fetch(const struct ga_ctl *ctl, uint32_t pid, enum ga_pprof_default shown,
                   uint8_t **ret, size_t *ret_bytes)
{
    struct ga_profile_data data;
    int r = ga_profile_data_fetch(ctl, pid, &data);
    if (r < 0)
        return r;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    r = ga_pprof_write(&data, shown, now_ms, ret, ret_bytes);
    if (r < 0)
        fputs("goallocctl: out of memory\n", stderr);
    ga_profile_data_fini(&data);
    return r;
}
