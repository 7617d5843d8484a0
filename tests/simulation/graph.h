/* What points to what, as a program knows it: objects have one pointer each, to the beginning or
 * into the middle of another, in their first word; managed processes have some in memory of their
 * own. The heap's memory has those words, and zeros, so that a collection finds them; what nothing
 * reaches is worked out here by itself. */
#ifndef GA_TESTS_SIMULATION_GRAPH_H
#define GA_TESTS_SIMULATION_GRAPH_H

#include "simulation/model.h"

/* Nothing points anywhere. */
void ga_sim_graph_reset(void);
/* The heap's memory, for the core to read. */
const void *ga_sim_graph_memory(void);

/* An object that the process has just allocated, and knows; and one that is no more. */
void ga_sim_graph_added(struct ga_sim_process *process, struct ga_sim_object *object);
void ga_sim_graph_removed(const struct ga_sim_object *object);

/* Have the process change what points where: a word of its own, or an object's. */
void ga_sim_graph_change(struct ga_sim_process *process);
/* An object in use that nobody is at, and that the process can know: if it is managed, one that it
 * reaches; else one of those that are not collected. NULL. */
struct ga_sim_object *ga_sim_graph_pick(const struct ga_sim_process *process);
/* The same to hold or to publish: who is not managed does that also with what it has found in the
 * heap. */
struct ga_sim_object *ga_sim_graph_pick_to_share(const struct ga_sim_process *process);

/* What the private memory of managed processes points to. Returns how many there are. */
#define GA_SIM_ROOTS_MAX (GA_SIM_PROCESSES * (GA_SIM_OWN + GA_SIM_THREADS))
uint32_t ga_sim_graph_private(uint64_t ret_offsets[static GA_SIM_ROOTS_MAX]);
/* Find out of each object whether it is reached. */
void ga_sim_graph_mark(void);

#endif
