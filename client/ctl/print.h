/* What the commands share in printing to stdout. */
#ifndef GA_CTL_PRINT_H
#define GA_CTL_PRINT_H

#include <stdint.h>

#include "client/ctl/table.h"

/* Print table to stdout, as wide as the terminal, and free it. Returns 0, or -ENOMEM after telling
 * it on stderr. table may be NULL, which is out of memory too. */
int ga_print_table(struct ga_table *table);

/* "" for one, "s" for any other number. */
const char *ga_print_plural(uint64_t number);

#endif
