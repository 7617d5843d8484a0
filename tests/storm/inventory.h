/* What a heap at rest has in use, against what the ledger says. */
#ifndef GA_TESTS_STORM_INVENTORY_H
#define GA_TESTS_STORM_INVENTORY_H

#include "ledger.h"
#include "support/inventory.h"

/* Objects that may exist, because who allocated or freed them was killed on the way. */
struct storm_doubts {
    uint8_t **objects; /* they may be freed or not */
    size_t nobjects;
    size_t capacity;
    uint64_t unknown; /* at most so many more, of which nobody has the address */
};

void storm_doubt(struct storm_doubts *doubts, uint8_t *object);

struct storm_outcome {
    uint64_t live;    /* of the ledger, and in use */
    uint64_t lost;    /* of the ledger, and not in use, or in two entries */
    uint64_t doubted; /* in use, and in doubt */
    uint64_t unknown; /* in use, and neither */
};

/* Says on stderr of what is lost, and of what is unknown if that is too much, where it lies and
 * what the heap has noted there. */
struct storm_outcome storm_compare(const char *heap_name, const struct storm_ledger *ledger,
                                   const struct ga_inventory *inventory,
                                   const struct storm_doubts *doubts);

#endif
