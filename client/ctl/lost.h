/* What a collection has found unreachable, and what it has reached, by the place that allocated it:
 * of what processes have sampled, which is all of it where their rate is 1. */
#ifndef GA_CTL_LOST_H
#define GA_CTL_LOST_H

#include <stdio.h>

#include "client/ctl/call_names.h"

/* What one process has allocated at one place: estimated from samples, as bytes. */
struct ga_lost_place {
    const struct ga_profile_record *record; /* one of the place's: its calls, and its process */
    uint32_t first;                         /* of its frames that is the program's */
    uint64_t lost_objects;
    uint64_t lost_bytes;
    uint64_t reachable_objects;
    uint64_t reachable_bytes;
};

struct ga_lost {
    struct ga_profile_data data;
    struct ga_symbols *symbols;
    struct ga_lost_place *places; /* where there is anything of either; most lost bytes first, then
                                     most that are reachable */
    size_t nplaces;
};

/* Read it of the heap that ctl looks at, after the collection that a GcResult calls so. 0 and *ret,
 * for ga_lost_fini; or a negative errno after telling why on stderr. */
int ga_lost_fetch(const struct ga_ctl *ctl, uint32_t collection, struct ga_lost *ret);
void ga_lost_fini(struct ga_lost *lost);

/* A paragraph for each place, those of what is lost first, with the calls; of so many objects and
 * bytes, of which the places may not tell all. */
void ga_lost_print(const struct ga_lost *lost, uint64_t lost_objects, uint64_t lost_bytes,
                   FILE *out);
/* A line for each place where something is lost, as a table on stdout. 0; or -ENOMEM, told. */
int ga_lost_print_table(const struct ga_lost *lost);
/* All places, as a list called "places". */
void ga_lost_json(const struct ga_lost *lost, struct ga_json *json);

#endif
