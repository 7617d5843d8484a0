/* Printing that all commands do in the same way. */
#include "client/ctl/print.h"

int ga_print_table(struct ga_table *table)
{
    int err = ga_table_print(table, stdout, ga_table_width_of(stdout));
    if (err < 0)
        fputs("goallocctl: out of memory\n", stderr);
    ga_table_free(table);
    return err;
}

const char *ga_print_plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}
