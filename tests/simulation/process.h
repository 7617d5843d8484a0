/* The processes of the simulated world: how they begin and end, what they hear, and what the next
 * step of one is. */
#ifndef GA_TESTS_SIMULATION_PROCESS_H
#define GA_TESTS_SIMULATION_PROCESS_H

#include "simulation/network.h"

/* A random process takes a step: attaches, or one of its threads does something. */
void ga_sim_process_step(void);
/* What the server answers reaches whom it is for. */
void ga_sim_process_hears(const struct ga_sim_message *reply);
/* It is killed now, wherever its threads are. */
void ga_sim_process_dies(struct ga_sim_process *process);
/* Some process is, or exits. */
void ga_sim_process_ends(void);
bool ga_sim_process_lives(uint32_t pid);
/* The server has gone: nobody waits any longer. */
void ga_sim_processes_disconnected(void);

#endif
