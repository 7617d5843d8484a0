/* The scavenger: gives memory back in the background, as the core says what and as fast as its pace
 * allows. It has nothing to run while there is nothing to give back. */
#ifndef GA_SERVER_SHELL_SCAVENGER_H
#define GA_SERVER_SHELL_SCAVENGER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "server/scavenge_pace.h"
#include "server/shell/puncher.h"

struct ga_server;

struct ga_scavenger {
    struct ga_server *server;
    struct ga_puncher puncher;
    struct ga_scavenge_pace pace;
    uv_timer_t timer;        /* runs between two batches */
    bool at_work;            /* a batch is under way, or the timer runs */
    uint64_t began_ns;       /* the batch, */
    uint64_t worked_ns;      /* and what all threads but the loop's had worked then */
    uint64_t ended_ns;       /* the batch before; 0 = it is the first of its stretch */
    uint64_t bytes;          /* of the batch, */
    uint64_t released_bytes; /* and of them, that have lost their memory */
};

/* Make the scavenger of server, whose loop and world there are; nothing happens before the first
 * tick. 0 or negative errno. */
int ga_scavenger_start(struct ga_scavenger *scavenger, struct ga_server *server);
/* Wait for the batch that is under way, and close all that the loop has of this. */
void ga_scavenger_close(struct ga_scavenger *scavenger);

/* About a second is over. */
void ga_scavenger_tick(struct ga_scavenger *scavenger);

#endif
