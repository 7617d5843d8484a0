/* The name and the address of the heap to be served: whether they are to be had. */
#ifndef GA_SERVER_SHELL_CLAIM_H
#define GA_SERVER_SHELL_CLAIM_H

#include <stdint.h>

#include "server/shell/neighbours.h"
#include "server/shell/options.h"

enum ga_claim_outcome {
    GA_CLAIM_NEW = 0,   /* no heap has the name, or has it any longer */
    GA_CLAIM_ADOPT = 1, /* a heap has it whose server has ended */
};

/* See who has the name; with options->replace, remove a heap that a dead server left. Returns an
 * outcome, and for GA_CLAIM_ADOPT what the heap says of itself; or a negative errno, what stands in
 * the way having been logged. */
int ga_claim_name(const struct ga_options *options, struct ga_neighbour *ret_old);

/* Wait, for some seconds at most, while a living server has the name. */
void ga_claim_wait(const struct ga_options *options);

/* Find where the heap is to lie: at options->base, or in the first window of the layout that is
 * free here and that no other heap uses. 0; or -EADDRINUSE, logged. */
int ga_claim_base(const struct ga_options *options, uint64_t *ret_base);

#endif
