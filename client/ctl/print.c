/* Printing that all commands do in the same way. */
#include "client/ctl/print.h"

#include <inttypes.h>

#include "shm/size_class.h"

int ga_print_table(struct ga_table *table)
{
    int err = ga_table_print(table, stdout, ga_table_width_of(stdout));
    if (err < 0)
        fputs("goallocctl: out of memory\n", stderr);
    ga_table_free(table);
    return err;
}

void ga_print_begin_json(const struct ga_ctl *ctl, struct ga_json *ret_json)
{
    ga_print_begin_json_to(ctl, stdout, ret_json);
}

void ga_print_begin_json_to(const struct ga_ctl *ctl, FILE *out, struct ga_json *ret_json)
{
    ga_json_init(ret_json, out);
    ga_json_begin_object(ret_json, NULL);
    ga_json_string(ret_json, "source", ctl->source.kind);
    ga_json_bool(ret_json, "server_alive", ctl->source.server_alive);
}

void ga_print_class_cells(struct ga_table *table, uint32_t size_class)
{
    if (size_class == 0) {
        ga_table_cell(table, "large");
        ga_table_cell(table, "-");
    } else {
        ga_table_number(table, size_class);
        ga_table_cell(table, "%" PRIu32 " B", ga_size_classes[size_class].size);
    }
}

const char *ga_print_plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}
