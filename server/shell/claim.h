/* The name and the address of the heap to be served: whether they are to be had. */
#ifndef GA_SERVER_SHELL_CLAIM_H
#define GA_SERVER_SHELL_CLAIM_H

#include <stdint.h>

#include "server/shell/options.h"

/* Make sure that no heap has the name; with options->replace, remove one that a dead server left.
 * 0; or a negative errno, what stands in the way having been logged. */
int ga_claim_name(const struct ga_options *options);

/* Find where the heap is to lie: at options->base, or in the first window of the layout that is
 * free here and that no other heap uses. 0; or -EADDRINUSE, logged. */
int ga_claim_base(const struct ga_options *options, uint64_t *ret_base);

#endif
