/* The heap that is explored: a goallocd of the shipped build, started again and again on the same
 * shared objects, which are mapped here to be read. */
#ifndef GA_TESTS_CRASH_WORLD_H
#define GA_TESTS_CRASH_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "crash/account.h"
#include "integration/wire.h"
#include "shm/mapping.h"
#include "shm/view.h"
#include "support/folder.h"

struct ga_crash_world {
    const char *goallocd;   /* the program */
    const char *soft_limit; /* its --soft-limit; NULL = none */
    char folder[GA_TEST_FOLDER_BYTES];
    char socket[108];
    char heap_name[64];
    pid_t server;
    struct ga_wire wire;
    struct ga_mapping objects[GA_OBJECT_COUNT];
    struct ga_view view;
    unsigned char *shadow; /* of what ga_world_changed looks at */
};

/* Make a folder and names. */
bool ga_crash_world_init(struct ga_crash_world *world, const char *goallocd);
/* Start goallocd. traced: it stands at its first instruction, traced, and does not serve yet. */
bool ga_crash_world_start(struct ga_crash_world *world, bool traced);
/* Wait until it serves, and map the heap the first time. */
bool ga_crash_world_await(struct ga_crash_world *world);
/* The server was killed. */
void ga_crash_world_lost(struct ga_crash_world *world);
/* Stop it and remove everything. */
void ga_crash_world_fini(struct ga_crash_world *world);

/* Everything that was sent to the server before has been handled. False if it does not answer. */
bool ga_crash_world_sync(struct ga_crash_world *world);

/* Everything that was sent to the server before has been handled, all news are swept, and of those
 * who have ended nobody is attached; alive: who may be. False if that does not come to be. */
bool ga_crash_world_settle(struct ga_crash_world *world, const pid_t *alive, size_t nalive);

/* Whether shared memory but the objects themselves has changed since the last call. */
bool ga_crash_world_changed(void *world);

/* What an audit has found. */
struct ga_verdict {
    uint32_t leaked;    /* slots in use, or spans' slots withheld, that nobody knows of */
    uint32_t corrupted; /* objects lost or spoiled, words that contradict each other */
    uint32_t in_flight; /* the one object on its way to its caller */
    char why[256];      /* the first thing that was wrong */
};

/* Compare the heap with the account. in_flight_class: the size class, or 0 for large, of an object
 * that may be there although nobody has noted it; -1 for none. */
void ga_crash_world_audit(struct ga_crash_world *world, struct ga_account *account,
                          int in_flight_class, struct ga_verdict *ret);

/* How many slots of the class are free in spans that nobody leases. */
uint32_t ga_crash_world_free_slots(const struct ga_crash_world *world, ga_span_class span_class);

#endif
