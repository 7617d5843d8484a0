/* What must hold of the numbers a heap shows of itself, whatever has happened in it. */
#ifndef GA_TESTS_STATS_CHECK_H
#define GA_TESTS_STATS_CHECK_H

#include "support/core_fixture.h"

/* The identities that hold at any time. every_free_is_counted: nobody has died between a free and
 * its count. NULL, or a clause that is not true. Sweeps what is pending. */
const char *ga_check_stats_identities(struct ga_core *core, bool every_free_is_counted);

#endif
