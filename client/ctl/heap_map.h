/* The heap as a map: every page of a range put into one of a few categories, by what it is asked
 * for. What is few is told run by run, a span or some free pages each; what is more, in cells of so
 * many pages, with how many of each category there are. So a map has a bounded size, whatever the
 * heap has. */
#ifndef GA_CTL_HEAP_MAP_H
#define GA_CTL_HEAP_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "client/ctl/map_by.h"
#include "client/ctl/view.h"
#include "shm/view.h"

enum ga_map_state {
    GA_MAP_LEASED,   /* an mcache allocates from it */
    GA_MAP_UNLEASED, /* in mcentral: nobody does */
    GA_MAP_LARGE,    /* one large object, whoever has it */
    GA_MAP_ORPHAN,   /* a collection frees what nothing reaches of it */
    GA_MAP_FREE,     /* in no span */
    GA_MAP_RELEASED, /* the same, and without memory */
    GA_MAP_STATE_COUNT,
};

#define GA_MAP_CATEGORIES_MAX 12u
#define GA_MAP_LABEL_BYTES    64u
#define GA_MAP_OWNERS         8u /* that have a category of their own */

#define GA_MAP_AGE_UNKNOWN UINT32_MAX

struct ga_map_run {
    uint32_t page;
    uint32_t npages;
    uint8_t state;    /* enum ga_map_state */
    uint8_t category; /* index into the map's */
    ga_span_class span_class;
    uint16_t client; /* who leases it, or asked for the large object; 0 = nobody */
    uint32_t slots;  /* of a span; 0 where there is none */
    uint32_t used;
    uint32_t age_s; /* GA_MAP_AGE_UNKNOWN where the server was not asked */
};

struct ga_map_category {
    const char *key;                /* its colour: a class of palette.css */
    char label[GA_MAP_LABEL_BYTES]; /* may hold what a client has chosen */
    uint64_t npages;
};

struct ga_map {
    enum ga_map_by by;
    uint64_t base;        /* the heap's */
    uint64_t from_page;   /* of an arena, the first */
    uint64_t end_page;    /* past the last that is told of */
    uint64_t heap_npages; /* committed in all */
    size_t ncategories;
    struct ga_map_category categories[GA_MAP_CATEGORIES_MAX];
    uint32_t pages_per_cell; /* 0: there are runs */
    struct ga_map_run *runs; /* those that begin before from_page, or end past end_page, whole */
    size_t nruns;
    uint32_t *counts; /* of the pages of each cell, ncategories a cell */
    size_t ncells;
};

/* What is to be drawn, and what it is read from. */
struct ga_map_order {
    const struct ga_view *view;
    const struct ga_ctl_view *clients; /* only for their names */
    const uint8_t *ages; /* of npages_ages pages, as proto/age.h has them; NULL = not known */
    uint64_t npages_ages;
    enum ga_map_by by;
    uint64_t arena;   /* the first */
    uint64_t narenas; /* how many at most, UINT64_MAX = all behind it */
    size_t runs_max;
    size_t cells_max; /* 0: as many runs as there are, and no cells */
};

/* Draw the map. Returns 0, for the caller to give to ga_map_fini; -ENOMEM; -EBADMSG where the page
 * table is damaged, with the page in *ret_bad_page. It is no snapshot: each run is true at some
 * moment of the call. */
int ga_map_draw(const struct ga_map_order *order, struct ga_map *ret, uint64_t *ret_bad_page);
void ga_map_fini(struct ga_map *map);

const char *ga_map_state_name(enum ga_map_state state);

/* Bytes of a slot: of a large span its length, of a tiny one a block. */
uint64_t ga_map_slot_bytes(const struct ga_map_run *run);

#endif
