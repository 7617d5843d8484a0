/* How fast memory is given back in the background: so that it takes about a hundredth of one core,
 * or as much more as a large surplus needs to be gone in a few seconds. The times are measured by
 * the caller; a PI controller, as in Go's runtime, makes up for sleeps that are longer than they
 * were meant to be. Pure. */
#ifndef GA_SERVER_SCAVENGE_PACE_H
#define GA_SERVER_SCAVENGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct ga_pi_controller {
    double error_integral;
};
/* What the ratio should be, 0.001 to 1000, after an input was measured over period_ns where
 * setpoint was wanted. False where the numbers make no sense any more: it begins anew, and *ret is
 * the least. */
bool ga_pi_controller_next(struct ga_pi_controller *controller, double input, double setpoint,
                           double period_ns, double *ret);

struct ga_scavenge_pace {
    struct ga_pi_controller controller;
    double ratio;       /* of work to sleep */
    double target;      /* share of one core, of this stretch of work */
    double cooldown_ns; /* so long the controller is not asked */
    double ns_per_byte; /* measured; 0 = not yet */
};

void ga_scavenge_pace_init(struct ga_scavenge_pace *pace);
/* A stretch of work begins: a surplus has come up. */
void ga_scavenge_pace_begin(struct ga_scavenge_pace *pace);
/* worked_ns were spent on giving back bytes, after a sleep of slept_ns, and surplus_bytes are left.
 * Returns for how long to sleep now, in ns. */
uint64_t ga_scavenge_pace_next(struct ga_scavenge_pace *pace, uint64_t worked_ns, uint64_t slept_ns,
                               uint64_t bytes, uint64_t surplus_bytes);

#endif
