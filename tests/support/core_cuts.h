/* A server that is killed before any store of its that others can see: an operation on a core is
 * abandoned just before its nth store to meta or bits. */
#ifndef GA_TESTS_CORE_CUTS_H
#define GA_TESTS_CORE_CUTS_H

#include "support/core_fixture.h"

/* Do operation, up to but without its store number n (from 0) to meta or bits. Returns whether it
 * was abandoned; false = it has fewer stores and is done. One thread, x86-64. What it held of
 * private memory is the heap's, or lost. */
bool ga_core_cut(struct ga_core *core, uint32_t n, void (*operation)(void));

#endif
