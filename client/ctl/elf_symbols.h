/* Names of functions, from the symbol tables of ELF files. */
#ifndef GA_CTL_ELF_SYMBOLS_H
#define GA_CTL_ELF_SYMBOLS_H

#include <stdint.h>

#include "shm/layout.h"

/* Files that were looked into, each once. */
struct ga_symbols;

/* NULL when there is no memory. */
struct ga_symbols *ga_symbols_new(void);
void ga_symbols_free(struct ga_symbols *symbols);

/* The name of the function that has the instruction at address of a process which had the file
 * mapped so. NULL where that is not to be found out: the file is gone, or another build, or has no
 * symbol there. The name is UTF-8, whatever the file has, and good until ga_symbols_free. */
const char *ga_symbols_find(struct ga_symbols *symbols, const struct ga_profile_mapping *mapping,
                            uint64_t address);

#endif
