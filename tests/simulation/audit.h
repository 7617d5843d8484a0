/* The audit after each step: what the core keeps adds up; every slot that the model has is in use,
 * and no other; who is to be told of a free has been told; and what the heap shows of itself. */
#ifndef GA_TESTS_SIMULATION_AUDIT_H
#define GA_TESTS_SIMULATION_AUDIT_H

#include <stdbool.h>

/* NULL, or a clause that is not true. Nobody is at anything. every_object: look at each. */
const char *ga_sim_audit(bool every_object);

#endif
