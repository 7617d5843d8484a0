/* The calls of a record of a profile, named. */
#ifndef GA_CTL_CALL_NAMES_H
#define GA_CTL_CALL_NAMES_H

#include "client/ctl/elf_symbols.h"
#include "client/ctl/json.h"
#include "client/ctl/profile_data.h"

/* The mapping of the process that has address; NULL where none has. */
const struct ga_profile_mapping *ga_call_mapping(const struct ga_profile_process *process,
                                                 uint64_t address);

/* The name of the function that frame of record is in, or NULL. */
const char *ga_call_name(struct ga_symbols *symbols, const struct ga_profile_data *data,
                         const struct ga_profile_record *record, uint32_t frame);

/* The first frame that is the program's: those before it are of the library, where that is linked
 * into the program's file (client/profile.c leaves them out otherwise). */
uint32_t ga_call_first(struct ga_symbols *symbols, const struct ga_profile_data *data,
                       const struct ga_profile_record *record);

/* The innermost calls of the program's in one line, so many as are told of there. */
void ga_call_line(struct ga_symbols *symbols, const struct ga_profile_data *data,
                  const struct ga_profile_record *record, char *ret_text, size_t bytes);

/* All of them as a list called "calls". */
void ga_call_json(struct ga_json *json, struct ga_symbols *symbols,
                  const struct ga_profile_data *data, const struct ga_profile_record *record);

#endif
