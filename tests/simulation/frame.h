/* A frame: something that a process does, which may be cut off at any use of an atomic word, as a
 * kill would, and interrupted there by what others do. Frames nest: who interrupts runs to its end
 * (or its own) before the interrupted goes on. */
#ifndef GA_TESTS_SIMULATION_FRAME_H
#define GA_TESTS_SIMULATION_FRAME_H

#include "simulation/world.h"

/* Run step(argument) as process, NULL being the server; one in `chance` is cut off somewhere within
 * its first 2^`reach` points (0: none is), and then process has died, or the server.
 * Returns whether the step came to its end. */
bool ga_sim_run(struct ga_sim_process *process, uint32_t chance, uint32_t reach,
                void (*step)(void *argument), void *argument);

/* What the current frame was to do is done: it can be cut off no more. */
void ga_sim_settled(void);

/* Whether the server is at something that has been interrupted. */
bool ga_sim_server_is_busy(void);

#endif
