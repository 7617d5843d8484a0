#include "client/ctl/call_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

const struct ga_profile_mapping *ga_call_mapping(const struct ga_profile_process *process,
                                                 uint64_t address)
{
    for (uint32_t i = 0; i < process->nmappings; i++)
        if (address >= process->mappings[i].start && address < process->mappings[i].limit)
            return &process->mappings[i];
    return NULL;
}

const char *ga_call_name(struct ga_symbols *symbols, const struct ga_profile_data *data,
                         const struct ga_profile_record *record, uint32_t frame)
{
    uint64_t address = record->pc[frame];
    const struct ga_profile_mapping *mapping =
        ga_call_mapping(&data->processes[record->process], address);
    return mapping ? ga_symbols_find(symbols, mapping, address) : NULL;
}

/* Whether this is the name of a function of the library that may be among the calls. */
static bool is_ours(const char *name)
{
    static const char *const others[] = {"alloc_counted", "alloc_uncounted", "alloc_any",
                                         "malloc_longer"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return true;
    return strncmp(name, "ga_", 3) == 0 || strncmp(name, "goalloc_", 8) == 0;
}

uint32_t ga_call_first(struct ga_symbols *symbols, const struct ga_profile_data *data,
                       const struct ga_profile_record *record)
{
    uint32_t first = 0;
    /* The library's own innermost function is there where any of it is. */
    const char *name = record->nframes ? ga_call_name(symbols, data, record, 0) : NULL;
    if (!name || strncmp(name, "ga_profile_note", 15) != 0)
        return 0;
    while (name && is_ours(name)) {
        first++;
        name = first < record->nframes ? ga_call_name(symbols, data, record, first) : NULL;
    }
    return first < record->nframes ? first : 0;
}

#define LINE_CALLS 3u

void ga_call_line(struct ga_symbols *symbols, const struct ga_profile_data *data,
                  const struct ga_profile_record *record, char *ret_text, size_t bytes)
{
    uint32_t first = ga_call_first(symbols, data, record);
    size_t length = 0;
    ret_text[0] = '\0';
    for (uint32_t i = first; i < record->nframes && i < first + LINE_CALLS && length < bytes; i++) {
        const char *name = ga_call_name(symbols, data, record, i);
        char unnamed[24];
        snprintf(unnamed, sizeof(unnamed), "0x%" PRIx64, record->pc[i]);
        int n = snprintf(ret_text + length, bytes - length, "%s%s", i == first ? "" : " < ",
                         name ? name : unnamed);
        length += n > 0 ? (size_t)n : 0;
    }
    ga_text_clean(ret_text); /* it may be cut off within a character */
}

void ga_call_json(struct ga_json *json, struct ga_symbols *symbols,
                  const struct ga_profile_data *data, const struct ga_profile_record *record)
{
    const struct ga_profile_process *process = &data->processes[record->process];
    ga_json_begin_list(json, "calls");
    for (uint32_t i = ga_call_first(symbols, data, record); i < record->nframes; i++) {
        const struct ga_profile_mapping *mapping = ga_call_mapping(process, record->pc[i]);
        ga_json_begin_object(json, NULL);
        ga_json_address(json, "address", record->pc[i]);
        ga_json_string(json, "function", ga_call_name(symbols, data, record, i));
        ga_json_string(json, "file", mapping ? mapping->path : NULL);
        ga_json_end(json);
    }
    ga_json_end(json);
}
