/* Programs whose malloc is a heap of their own (client/malloc), as goallocctl clients lists them.
 */
#ifndef GA_CTL_OWN_PROGRAMS_H
#define GA_CTL_OWN_PROGRAMS_H

#include "client/ctl/ask.h"
#include "client/ctl/json.h"

/* What a program has allocated, read from its memory. */
struct ga_own_counts {
    bool known; /* else this user may not read it, or it has ended */
    uint64_t mallocs;
    uint64_t frees;
    uint64_t live_bytes;
};

struct ga_own_counts ga_own_programs_count(const Goalloc__V1__Program *program);

/* Print them as a table, where there are any; or as a list of the JSON document. */
int ga_own_programs_print(const struct ga_parts *parts);
void ga_own_programs_json(const struct ga_parts *parts, struct ga_json *json);

#endif
