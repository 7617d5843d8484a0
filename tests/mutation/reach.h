/* What is reachable by the shadow, against what the heap has in use. For when every thread of every
 * client stands still, in the driver, which is attached to the heap. */
#ifndef GA_TESTS_MUTATION_REACH_H
#define GA_TESTS_MUTATION_REACH_H

#include "goalloc/goalloc.h"
#include "shadow.h"
#include "support/inventory.h"

struct reach {
    struct shadow *shadow;
    struct goalloc_heap *heap;
    const char *heap_name;
    /* By index of the record. Known: from names and pockets, and what living clients of policy
     * unreachable have made. Kept: also from what ordinary clients ever made. */
    bool known[SHADOW_RECORDS];
    bool kept[SHADOW_RECORDS];
    uint64_t nkept;
};

/* Settle every doubt by the words in the heap, and find what is reachable. Returns how many faults
 * there were, which are printed. */
uint64_t reach_find(struct reach *reach);

/* Look at every object that is kept: in use, its bytes, its edges. Returns the number of faults,
 * which are printed. */
uint64_t reach_check(const struct reach *reach, const struct ga_inventory *inventory);

/* What is in use and not kept, but for what somebody has freed in a batch: moved to the front of
 * inventory, which has nothing else then. */
void reach_rest(const struct reach *reach, struct ga_inventory *inventory);

/* Objects of ordinary clients that nobody knows, and that nobody will collect: listed, and noted as
 * freed. The caller frees them, and the list; what is reachable must be found anew. */
void reach_take_uncollected(struct reach *reach, struct ga_inventory *ret);

/* From how many of these objects all of them can be reached: so many lucky words explain them. */
uint64_t reach_lucky(const struct ga_inventory *rest);

/* Say what some of these are. */
void reach_tell_rest(const struct reach *reach, const struct ga_inventory *rest);

/* What is not kept has no record any more if it is not in rest either; who knows whom is counted
 * anew. */
void reach_forget(const struct reach *reach, const struct ga_inventory *rest);

#endif
