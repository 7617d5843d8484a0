/* What one thread does: the steps of a client's slot, tiny and ring protocols, on its mcache in the
 * simulated shared memory, and the requests that they need. Everything in here may be cut off and
 * interrupted at any use of an atomic word. */
#ifndef GA_TESTS_SIMULATION_THREAD_H
#define GA_TESTS_SIMULATION_THREAD_H

#include "simulation/network.h"

struct ga_sim_thread_at {
    struct ga_sim_process *process;
    struct ga_sim_thread *thread;
};

/* A random step, and what follows from the reply that it has waited for. */
void ga_sim_thread_step(const struct ga_sim_thread_at *at);
void ga_sim_thread_hears(const struct ga_sim_thread_at *at, const struct ga_sim_message *reply);
/* It waits no longer, if what it asked for may come to nothing; the reply will find nobody. */
void ga_sim_thread_gives_up(const struct ga_sim_thread_at *at);

/* process.c: send a request, which the thread then awaits; or a note. */
void ga_sim_thread_asks(const struct ga_sim_thread_at *at, const struct ga_sim_message *m);
void ga_sim_thread_notes(const struct ga_sim_thread_at *at, const struct ga_sim_message *m);

/* spans.c: the spans that the thread leases. */

/* Begin the lease of a span that was granted. */
void ga_sim_spans_begin(const struct ga_sim_thread_at *at, ga_page_id page);
/* Take what has come through the ring. */
void ga_sim_spans_take_ring(const struct ga_sim_thread_at *at);
/* Put the free slots of a word into the thread's list, or adopt a tiny block, of any span of the
 * class, of which the list has none. False if there are none. */
bool ga_sim_spans_fill(const struct ga_sim_thread_at *at, ga_span_class span_class);
/* Take the slot that was put last of the class off the list. */
bool ga_sim_spans_pop(struct ga_sim_thread *thread, ga_span_class span_class,
                      struct ga_sim_free_slot *ret);
/* Put one there that this thread has freed. */
void ga_sim_spans_put(struct ga_sim_thread *thread, ga_span_class span_class, ga_page_id page,
                      uint32_t index);
/* Take a large span that is kept, and free, and long enough; right before the model knows. 0: none.
 */
ga_page_id ga_sim_spans_take_large(const struct ga_sim_thread_at *at, ga_span_class span_class,
                                   uint64_t npages);
/* The lease of a large span begins with its one slot taken. */
void ga_sim_spans_begin_large(const struct ga_sim_thread_at *at, ga_page_id page);
/* Look at what the inbox says. */
void ga_sim_spans_take_news(const struct ga_sim_thread_at *at, ga_span_class span_class);
/* This thread has freed a slot of the span. */
void ga_sim_spans_freed(const struct ga_sim_thread_at *at, ga_page_id page);
/* Give some random spans back. */
void ga_sim_spans_return(const struct ga_sim_thread_at *at);

#endif
