/* What goallocctl top shows, reckoned from two looks at a heap: rates, and the rows of its tables,
 * sorted and filtered. No terminal, no connection. */
#ifndef GA_CTL_TOP_FIGURES_H
#define GA_CTL_TOP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/latency.h"
#include "shm/size_class.h"

struct ga_top_client {
    uint32_t client;
    uint32_t pid;
    char name[32];
    const char *state; /* static; "" where there is nothing to say */
    uint32_t mcaches;
    uint64_t spans;
    uint64_t leased_bytes;
    uint64_t mallocs;
    uint64_t frees;
    uint64_t attached_ms;
};

struct ga_top_class {
    uint64_t mallocs;
    uint64_t frees;
    uint64_t spans;
    uint64_t alloc_bytes;
};

struct ga_top_arena {
    uint32_t index;
    uint32_t count;
    uint32_t state; /* as in shm/layout.h */
    uint32_t ready_npages;
    uint32_t inuse_npages;
};

/* One look. Times of it are by one clock, in ns. */
struct ga_top_sample {
    uint64_t time_ns;
    char heap_name[64];
    char server_version[32];
    uint32_t server_pid;
    bool server_alive;
    uint64_t uptime_ms;
    uint64_t cpu_ns;
    uint64_t base;
    uint64_t limit_bytes;
    uint64_t committed_bytes; /* with memory */
    uint64_t inuse_bytes;
    uint64_t alloc_bytes;
    uint64_t objects;
    uint64_t mallocs;
    uint64_t frees;
    uint64_t lease_requests;
    uint64_t lease_spans;
    struct ga_latency served;
    struct ga_latency waited;
    struct ga_top_class classes[GA_SIZE_CLASS_COUNT];
    struct ga_top_client *clients; /* malloc'd, as the next */
    size_t nclients;
    struct ga_top_arena *arenas;
    size_t narenas;
};
void ga_top_sample_fini(struct ga_top_sample *sample);

/* What happened between two looks, in a second. All 0 where there was none before, or it was of
 * another server. Quantiles are in ns, 0 = nothing was measured. */
struct ga_top_rates {
    double mallocs;
    double frees;
    double lease_requests;
    double lease_spans;
    double cpu_share; /* of one core */
    uint64_t served_p50, served_p99;
    uint64_t waited_p50, waited_p99;
};
/* before may be NULL. */
void ga_top_get_rates(const struct ga_top_sample *before, const struct ga_top_sample *now,
                      struct ga_top_rates *ret);

enum ga_top_view {
    GA_TOP_PROCESSES = 0,
    GA_TOP_CLASSES,
    GA_TOP_ARENAS,
    GA_TOP_VIEWS,
};

#define GA_TOP_COLUMNS_MAX 12u
#define GA_TOP_CELL_BYTES  32u

struct ga_top_column {
    const char *title;
    unsigned width;
    bool is_left; /* a text; else a number, which stands right, and is sorted downwards first */
    unsigned priority; /* 0 is always shown; those of the highest number go first */
};
/* A view's columns; *ret_count of them. Static. */
const struct ga_top_column *ga_top_columns(enum ga_top_view view, size_t *ret_count);
/* What a view is sorted by at first. */
size_t ga_top_first_column(enum ga_top_view view);

struct ga_top_row {
    char cell[GA_TOP_COLUMNS_MAX][GA_TOP_CELL_BYTES];
    double key[GA_TOP_COLUMNS_MAX]; /* of the columns that are numbers */
};

/* Make the rows of a view: those that have filter (NULL or "" = none) in one of their cells, big or
 * small letters, sorted by column, upwards or downwards, and what is equal by the first. before may
 * be NULL. Returns 0 and the rows, for free; or -ENOMEM. */
int ga_top_make_rows(enum ga_top_view view, const struct ga_top_sample *before,
                     const struct ga_top_sample *now, const char *filter, size_t column,
                     bool downwards, struct ga_top_row **ret_rows, size_t *ret_count);

/* A rate as people read it: "0", "0.3", "12", "999", "1.2K", "34K", "5.6M". */
void ga_top_rate_text(double rate, char ret[static GA_TOP_CELL_BYTES]);
/* A duration in ns: "-" for 0, "12 us", "3.4 ms", "1.2 s". */
void ga_top_time_text(uint64_t ns, char ret[static GA_TOP_CELL_BYTES]);

#endif
