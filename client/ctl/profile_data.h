/* The profiles of a heap (shm/sample.h), read from its shared memory: of every process that has
 * sampled, also of those that are gone and whose profile is kept. What clients have written there
 * is checked, and copied before it is looked at. */
#ifndef GA_CTL_PROFILE_DATA_H
#define GA_CTL_PROFILE_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ctl/command.h"
#include "shm/view.h"

struct ga_profile_process {
    uint32_t client; /* its number, from 1 */
    uint32_t instance;
    uint32_t pid;
    bool gone;
    char program[sizeof(((struct ga_profile *)0)->program)];
    uint64_t ndropped; /* samples that there was no room for: untracked ones, and of no record */
    uint32_t nmappings;
    const struct ga_profile_mapping *mappings;
};

/* Samples of objects of one size, at one rate, from one place; of one process. */
struct ga_profile_record {
    uint32_t process;
    uint32_t nframes;
    const uint64_t *pc; /* in the calls, the innermost first */
    uint64_t size_bytes;
    uint64_t rate_bytes;
    uint64_t nalloc; /* sampled, as all that follow */
    uint64_t ninuse;
    uint64_t nuntracked; /* of nalloc: in use or not */
    uint64_t nfree_own;  /* freed by the process that allocated them; by another; by the server */
    uint64_t nfree_other;
    uint64_t nfree_server;
    uint64_t nunreached; /* of what is in use, as that collection found */
    uint32_t collection;
};

enum ga_profile_freed_by {
    GA_PROFILE_FREED_BY_PROCESS,
    GA_PROFILE_FREED_BY_SERVER,
};

/* Who has freed objects of a process. */
struct ga_profile_free {
    uint32_t process; /* whose they were */
    enum ga_profile_freed_by by;
    uint32_t pid; /* 0 = others: processes that came when as many as are told apart were known */
    uint64_t nobjects; /* estimated, as bytes */
    uint64_t bytes;
};

struct ga_profile_data {
    struct ga_profile_process *processes;
    size_t nprocesses;
    struct ga_profile_record *records;
    size_t nrecords;
    struct ga_profile_free *frees; /* by process */
    size_t nfrees;
    uint64_t rate_bytes; /* of processes that attach */
    void **copies;       /* what the others point into */
};

/* Read what view shows: of process pid alone, or, with 0, of all. 0 and *ret, for
 * ga_profile_data_fini; or -ENOMEM. The heap may be in use: then what it shows is of no one moment,
 * and never has more in use than allocated. */
int ga_profile_data_read(const struct ga_view *view, uint32_t pid, struct ga_profile_data *ret);

/* The same of the heap that ctl looks at. A negative errno after the reason has been told on
 * stderr. */
int ga_profile_data_fetch(const struct ga_ctl *ctl, uint32_t pid, struct ga_profile_data *ret);

/* What there was no room for, as a sentence without its end; "" where there is nothing. Returns
 * text. */
#define GA_PROFILE_GAP_BYTES 192
const char *ga_profile_gap(const struct ga_profile_data *data,
                           char text[static GA_PROFILE_GAP_BYTES]);

void ga_profile_data_fini(struct ga_profile_data *data);

/* What n samples of a record stand for: objects, and bytes. */
uint64_t ga_profile_objects(const struct ga_profile_record *record, uint64_t n);
uint64_t ga_profile_bytes(const struct ga_profile_record *record, uint64_t n);

#endif
