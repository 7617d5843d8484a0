/* What must be found when a server has taken over: everything that was done, nothing that was not,
 * and of the one thing that was cut off either all or nothing. */
#ifndef GA_TESTS_SIMULATION_ADOPTION_H
#define GA_TESTS_SIMULATION_ADOPTION_H

#include "simulation/network.h"

/* The server was killed while it served this. */
void ga_sim_adoption_cut_off(const struct ga_sim_message *message);
/* Another has taken over: compare, and let the model know which it was. */
void ga_sim_adoption_done(void);
void ga_sim_adoption_forget(void);

#endif
