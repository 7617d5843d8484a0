/* The server of the simulated world: it serves messages, may be killed at any point of that, and is
 * followed by another that adopts what it left. */
#ifndef GA_TESTS_SIMULATION_SERVER_H
#define GA_TESTS_SIMULATION_SERVER_H

#include "simulation/network.h"

/* Make the heap, and start. */
void ga_sim_server_start(uint64_t seed, uint64_t limit_bytes);
void ga_sim_server_serve(const struct ga_sim_message *message);
void ga_sim_server_sweep(void);
/* It does a step of giving memory back: part of a release, or some of it at once. */
void ga_sim_server_scavenge(void);
/* It is killed: connections, and what was on the way, are gone. */
void ga_sim_server_dies(void);
/* Another takes the heap over, unless it is killed meanwhile or finds no memory. */
void ga_sim_server_adopts(void);

#endif
