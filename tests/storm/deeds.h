/* What a client of the storm does to one entry of the ledger. An entry that others have in their
 * hands, or that is not fit for it, is left alone. */
#ifndef GA_TESTS_STORM_DEEDS_H
#define GA_TESTS_STORM_DEEDS_H

#include "goalloc/goalloc.h"
#include "ledger.h"

struct storm_worker {
    struct goalloc_heap *heap;
    struct storm_ledger *ledger;
    uint32_t client;
    uint32_t thread;
    uint32_t round; /* how many have been this client before */
    uint64_t random;
};

void storm_make(struct storm_worker *w, struct storm_entry *e);
void storm_free(struct storm_worker *w, struct storm_entry *e);
/* Only own entries are resized: what a reader of the ledger finds in one being resized is its. */
void storm_resize(struct storm_worker *w, struct storm_entry *e);
/* Hold the object, free it, see that it is still there, and release it. */
void storm_free_held(struct storm_worker *w, struct storm_entry *e);
/* Publish the object, find it by its name, and take the name back. */
void storm_name(struct storm_worker *w, struct storm_entry *e);

/* For the option report; data is the ledger. */
void storm_report(enum goalloc_report_kind kind, const char *message, void *data);

#endif
