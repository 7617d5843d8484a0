/* Quotas in the simulated world: in one run of three, users and clients may have only so much, and
 * nobody may ever have more. That what they are said to have is what they have, the audit of the
 * core looks for in all runs. */
#ifndef GA_TESTS_SIMULATION_QUOTAS_H
#define GA_TESTS_SIMULATION_QUOTAS_H

#include "simulation/world.h"

/* Decide on the quotas of a heap that is not made yet; by the seed alone, so that runs without
 * quotas are what they would be if there were none. */
void ga_sim_quotas_choose(uint64_t seed);

/* The user that a process runs as. */
uint32_t ga_sim_uid_of(uint32_t pid);

/* NULL, or what is not true. */
const char *ga_sim_quotas_audit(void);

#endif
