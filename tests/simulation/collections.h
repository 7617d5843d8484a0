/* Collections: the server's real cycle, with managed processes that stand still as long as it
 * marks, a step at a time between what others do; and the model's account of them. Some are done in
 * one piece: then exactly what nothing reaches is freed. Of the others nothing that is reached is;
 * in spans that change hands meanwhile garbage may stay for the next. */
#ifndef GA_TESTS_SIMULATION_COLLECTIONS_H
#define GA_TESTS_SIMULATION_COLLECTIONS_H

#include <stdbool.h>

/* Begin one, or go on with it. */
void ga_sim_collections_step(void);
bool ga_sim_collections_is_on(void);
/* One in one piece. */
void ga_sim_collections_do_whole(void);
/* The server is gone, and the cycle with it; or a run begins. */
void ga_sim_collections_forget(void);

#endif
