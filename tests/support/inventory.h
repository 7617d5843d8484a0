/* What a heap has in use, object by object, by its bits: for tests that know what there should be.
 */
#ifndef GA_TESTS_INVENTORY_H
#define GA_TESTS_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ga_inventory_object {
    uint8_t *object; /* where it begins */
    uint64_t bytes;  /* of its slot; of a tiny one, what it has at least */
    bool noscan;
};

struct ga_inventory {
    struct ga_inventory_object *objects; /* in use, in the order of their addresses; of malloc */
    size_t count;
};

/* Wait until nclients clients are attached and the audit of the heap finds no fault, and list what
 * is in use. Whoever is attached does nothing meanwhile. Returns the number of faults, which are
 * printed; -1 if the heap cannot be read, or stays restless. */
int64_t ga_inventory_take(const char *heap_name, uint32_t nclients, struct ga_inventory *ret);

/* Order for qsort and bsearch of elements that begin with an object. */
int ga_inventory_by_address(const void *a, const void *b);
/* The element of a sorted array whose object is this, or NULL. */
const void *ga_inventory_find(const void *sorted, size_t count, size_t size, uint8_t *object);

/* Say on stderr: what is so, of which object, and what the heap has noted where it lies. */
void ga_inventory_tell(const char *heap_name, const uint8_t *object, const char *what,
                       const char *of_it);

#endif
