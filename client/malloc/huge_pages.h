/* Huge pages for the heap, once it is large: fewer page faults, a shorter way from an address to
 * its memory, and less to copy for a fork. Called under the core's lock. */
#ifndef GA_MALLOC_HUGE_PAGES_H
#define GA_MALLOC_HUGE_PAGES_H

#include <stdint.h>

#include "reservation.h"

/* The first bytes of the heap will be used from now on. */
void ga_huge_pages_grown(const struct ga_reservation *reservation, uint64_t bytes);
/* Some of it has been given back to the system. */
void ga_huge_pages_given_back(const struct ga_reservation *reservation);

#endif
