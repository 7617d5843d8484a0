/* Profiles as files of pprof: gzip'd messages, which `go tool pprof` and other tools read. */
#ifndef GA_CTL_PPROF_H
#define GA_CTL_PPROF_H

#include <stdint.h>

#include "client/ctl/profile_data.h"

/* What a file shows if nothing else is asked for. */
enum ga_pprof_default {
    GA_PPROF_HEAP = 0,   /* what is in use */
    GA_PPROF_ALLOCS = 1, /* what was ever allocated */
};

/* Write data as a gzip'd profile with alloc_objects, alloc_space, inuse_objects and inuse_space.
 * Each sample has the labels bytes (of one object), pid and program. Functions are named by the
 * symbol tables of their files, where those are there. time_ms: wall clock, what the profile says
 * of when it was made. Returns 0 and *ret_bytes of memory in *ret, for free; or -ENOMEM. */
int ga_pprof_write(const struct ga_profile_data *data, enum ga_pprof_default shown,
                   uint64_t time_ms, uint8_t **ret, size_t *ret_bytes);

/* The same of what the heap that ctl looks at shows now, of process pid alone or, with 0, of all.
 * A negative errno after the reason has been told on stderr. */
int ga_pprof_fetch(const struct ga_ctl *ctl, uint32_t pid, enum ga_pprof_default shown,
                   uint8_t **ret, size_t *ret_bytes);

#endif
