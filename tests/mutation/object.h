/* What lies in an object: its number, so that it is known again; edges, where there is room for
 * pointers, spread over its whole length; and bytes that follow from the number and are nobody's
 * address. A noscan object has pointers too, which keep nothing alive. */
#ifndef GA_TESTS_MUTATION_OBJECT_H
#define GA_TESTS_MUTATION_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "shadow.h"

/* How many edges an object of so many bytes has room for. */
uint32_t object_nedges(uint64_t bytes, bool noscan);
/* Where the edge lies. */
void **object_edge(uint8_t *object, uint64_t bytes, uint32_t edge);

/* Write all of it, with edges of NULL. decoy is for a noscan object. */
void object_fill(uint8_t *object, const struct shadow_record *record, const void *decoy);
/* Whether it is as it was written, but for the edges. */
bool object_is_intact(const uint8_t *object, const struct shadow_record *record);
/* It is about to be freed, and whoever finds it sees that; and whether that has been done to it. */
void object_deface(uint8_t *object, const struct shadow_record *record);
bool object_is_defaced(const uint8_t *object, const struct shadow_record *record);

#endif
