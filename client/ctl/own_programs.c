#include "client/ctl/own_programs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/print.h"
#include "client/ctl/process_memory.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/counters.h"
#include "shm/view.h"

/* Add up what the program's mcaches have counted. False where they cannot be read. */
static bool add_counters(const Goalloc__V1__Program *program, const struct ga_meta_header *header,
                         struct ga_counters *sum)
{
    struct ga_mcache *mcache = malloc(sizeof(*mcache));
    uint32_t end = ga_load_relaxed(&header->mcache_end);
    uint64_t mcaches = program->bits_address + header->bits_mcaches_offset;
    bool good = mcache != NULL && end <= header->counts.mcaches;
    for (uint32_t id = 1; good && id < end; id++) {
        good = ga_process_memory_read(program->pid, mcaches + id * sizeof(*mcache), sizeof(*mcache),
                                      mcache) == 0;
        if (good)
            ga_counters_add(mcache, sum);
    }
    free(mcache);
    return good;
}

struct ga_own_counts ga_own_programs_count(const Goalloc__V1__Program *program)
{
    struct ga_own_counts counts = {.known = false};
    struct ga_meta_header header;
    struct ga_counters sum = {0};
    char why[256];
    if (ga_process_memory_read(program->pid, program->meta_address, sizeof(header), &header) < 0 ||
        ga_geometry_check(&header, why, sizeof(why)) < 0 || !add_counters(program, &header, &sum))
        return counts;
    counts.known = true;
    counts.mallocs = ga_counters_mallocs(&sum);
    counts.frees = ga_counters_frees(&sum);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        uint64_t allocated = ga_counters_alloc_bytes(&sum, c);
        uint64_t freed = ga_counters_free_bytes(&sum, c);
        counts.live_bytes += allocated > freed ? allocated - freed : 0; /* read one by one */
    }
    return counts;
}

static void table_program(struct ga_table *table, const Goalloc__V1__Program *program)
{
    char age[GA_UNITS_BYTES];
    struct ga_own_counts counts = ga_own_programs_count(program);
    ga_units_duration(program->age_ms, age);
    ga_table_number(table, program->pid);
    ga_table_cell(table, "%s", program->name);
    ga_table_number(table, program->uid);
    if (counts.known) {
        ga_table_size(table, counts.live_bytes);
        ga_table_number(table, counts.mallocs);
        ga_table_number(table, counts.frees);
    } else {
        for (int i = 0; i < 3; i++)
            ga_table_cell(table, "-");
    }
    ga_table_cell(table, "%s", age);
}

int ga_own_programs_print(const struct ga_parts *parts)
{
    static const struct ga_table_column columns[] = {
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "PROGRAM", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "UID", .align = GA_TABLE_RIGHT},
        {.title = "LIVE", .align = GA_TABLE_RIGHT},
        {.title = "MALLOCS", .align = GA_TABLE_RIGHT},
        {.title = "FREES", .align = GA_TABLE_RIGHT},
        {.title = "AGE", .align = GA_TABLE_RIGHT},
    };
    if (parts->count == 0 || parts->answers[0].message->program_list->n_programs == 0)
        return 0;
    puts("\nwith a heap of their own (goallocctl --process PID COMMAND):");
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ProgramList *list = parts->answers[i].message->program_list;
        for (size_t k = 0; k < list->n_programs; k++)
            table_program(table, list->programs[k]);
    }
    return ga_print_table(table);
}

static void json_program(struct ga_json *json, const Goalloc__V1__Program *program)
{
    struct ga_own_counts counts = ga_own_programs_count(program);
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "pid", program->pid);
    ga_json_string(json, "name", program->name);
    ga_json_number(json, "uid", program->uid);
    ga_json_number(json, "age_ms", program->age_ms);
    if (counts.known) {
        ga_json_number(json, "live_bytes", counts.live_bytes);
        ga_json_number(json, "mallocs", counts.mallocs);
        ga_json_number(json, "frees", counts.frees);
    } else {
        ga_json_null(json, "live_bytes");
        ga_json_null(json, "mallocs");
        ga_json_null(json, "frees");
    }
    ga_json_end(json);
}

void ga_own_programs_json(const struct ga_parts *parts, struct ga_json *json)
{
    ga_json_begin_list(json, "programs");
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ProgramList *list = parts->answers[i].message->program_list;
        for (size_t k = 0; k < list->n_programs; k++)
            json_program(json, list->programs[k]);
    }
    ga_json_end(json);
}
