/* Requests whose answer is to leave nothing unswept: they wait until each page has been looked at
 * since they came, a slice in each turn of the loop, in which others are served. */
#ifndef GA_SERVER_SHELL_PASS_H
#define GA_SERVER_SHELL_PASS_H

#include <stdbool.h>

#include "proto/message.h"

struct ga_connection;
struct ga_server;
struct ga_pass_waiter;

struct ga_passes {
    struct ga_pass_waiter *first; /* in the order in which they came */
    struct ga_pass_waiter *last;
};

/* Sweep for connection's request (kept_request.h), and if a slice is not enough have it wait and be
 * handled again: true. While the heap is copied nothing is swept, and nobody waits. */
bool ga_pass_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message);
/* A slice was swept, or no more are for now: handle again who has waited long enough. */
void ga_pass_look(struct ga_server *server);
/* connection is closing: it waits for nothing. */
void ga_pass_forget(struct ga_connection *connection);

#endif
