/* The driver's own: what it knows of its clients, and what it does to them besides what every siege
 * does. */
#ifndef GA_TESTS_MUTATION_DRIVER_H
#define GA_TESTS_MUTATION_DRIVER_H

#include "goalloc/goalloc.h"
#include "shadow.h"
#include "support/siege.h"

struct driver {
    struct ga_siege siege;
    struct shadow *shadow;
    struct goalloc_heap *heap; /* the driver is attached, too */
    uint64_t nstops;
    uint64_t nunknown; /* objects that may have been made, have no record, and stay for good */
};

extern struct driver driver;

/* Longer than this nothing may take that somebody waits for. */
enum { DRIVER_PATIENCE_MS = 60000 };

void driver_attach(void);
/* What it had in its hands is in the shadow as it may be now; the next of its number is started. */
void driver_kill_client(uint32_t client);
/* Nobody may take that for its death. */
void driver_stop_client_for_a_while(uint32_t client);

/* Run goallocctl gc, and wait for its end. */
pid_t driver_begin_ctl_gc(void);
void driver_end_ctl_gc(pid_t ctl);

#endif
