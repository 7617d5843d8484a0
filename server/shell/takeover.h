/* Taking over the heap that another server has left, killed or told to end. */
#ifndef GA_SERVER_SHELL_TAKEOVER_H
#define GA_SERVER_SHELL_TAKEOVER_H

#include "server/shell/neighbours.h"
#include "server/shell/world.h"

/* Map the objects of the heap that old describes, and take it over. Returns 0; or a negative errno,
 * what stands in the way having been logged, and the heap being as it was: world is to be closed,
 * which keeps the objects. */
int ga_takeover(struct ga_world *world, const struct ga_options *options,
                const struct ga_neighbour *old, struct ga_heap **ret);

#endif
