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

/* What a heap that is taken over and one that is restored have in common. */

/* The heap has the address and the reserve that it has, whatever is asked for now. Fills in base,
 * reserve and limit of world, or logs what does not fit and returns -EINVAL. */
int ga_takeover_check_wishes(struct ga_world *world, const struct ga_options *options,
                             const struct ga_neighbour *old);
/* Take over the heap whose objects world has mapped. 0 or a negative errno, which has been logged.
 */
int ga_takeover_mapped(struct ga_world *world, struct ga_heap **ret);
/* Log why the heap cannot be had. Returns err. */
int ga_takeover_refuse(const struct ga_world *world, int err, const char *why);

#endif
