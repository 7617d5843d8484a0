/* What the commands share in printing to stdout. */
#ifndef GA_CTL_PRINT_H
#define GA_CTL_PRINT_H

#include <stdint.h>

#include "client/ctl/command.h"
#include "client/ctl/json.h"
#include "client/ctl/table.h"

/* Print table to stdout, as wide as the terminal, and free it. Returns 0, or -ENOMEM after telling
 * it on stderr. table may be NULL, which is out of memory too. */
int ga_print_table(struct ga_table *table);

/* Begin a document on stdout: an object whose first members tell where the answer comes from and
 * whether the heap has a server. */
void ga_print_begin_json(const struct ga_ctl *ctl, struct ga_json *ret_json);
/* The same on another stream. */
void ga_print_begin_json_to(const struct ga_ctl *ctl, FILE *out, struct ga_json *ret_json);

/* Add the first two cells of a row on this size class: its number, or "large", and its size. */
void ga_print_class_cells(struct ga_table *table, uint32_t size_class);
/* "" for one, "s" for any other number. */
const char *ga_print_plural(uint64_t number);

#endif
