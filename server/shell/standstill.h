/* Managed clients stand still while a collection looks at the heap (client/managed.c is the other
 * side; shm/gc_word.h is what both agree by). All of them are asked, each answers with what its
 * private memory points to, and stands still until this says that it is over. If one does not
 * answer, has ended, or has no connection to be asked over, the collection is given up: nothing is
 * freed on a guess.
 *
 * It is for cycle.c, which is told how it goes (ga_cycle_all_stopped, ga_cycle_give_up). */
#ifndef GA_SERVER_SHELL_STANDSTILL_H
#define GA_SERVER_SHELL_STANDSTILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/message.h"

struct ga_attachment;
struct ga_connection;
struct ga_server;

#define GA_STANDSTILL_WHY_BYTES 320

struct ga_standstill {
    bool on;
    uint32_t number;   /* what the clients know this one by; counts on from server to server */
    uint32_t nasked;   /* clients */
    uint32_t nwaiting; /* of them, that have not answered */
    uv_timer_t limit;  /* for the answers */
    uv_timer_t beat;   /* by which who stands still knows that it goes on */
    uint64_t *roots;   /* that were told, by clients or to them: offsets into the heap */
    size_t nroots;
    bool forgets; /* there was no memory for one */
    size_t room;
    uint64_t began_ns;
    char why[GA_STANDSTILL_WHY_BYTES]; /* it was given up */
};

/* 0 or a negative errno. */
int ga_standstill_init(struct ga_server *server);
/* The server is ending: everybody goes on. */
void ga_standstill_close(struct ga_server *server);

/* Ask all managed clients. True if none has to be waited for: there is none. Else cycle.c is told,
 * perhaps before this returns. */
bool ga_standstill_begin(struct ga_server *server);

/* Hand what they told to the collection, which has begun. 0 or -ENOMEM. */
int ga_standstill_add_roots(struct ga_server *server);

/* All is marked: all go on. False if one had done so by itself, and then nothing may be freed; why
 * says who. */
bool ga_standstill_release(struct ga_server *server);

/* It is over: all go on, if they have not yet. */
void ga_standstill_end(struct ga_server *server);

/* What a client says: a part of what it points to; that this was all, or what is wrong. */
void ga_standstill_roots(struct ga_connection *connection, const Goalloc__V1__GcRoots *note);
void ga_standstill_stopped(struct ga_connection *connection, const Goalloc__V1__GcStopped *note);

/* What is about to be sent: an object that it names is a root of the collection that is about to
 * begin, since whoever is told of it may stand still before it has made a pointer of it. */
void ga_standstill_tells(struct ga_server *server, const Goalloc__V1__Envelope *message);

/* The client is about to detach: the cycle is given up, since its process goes on. */
void ga_standstill_detached(const struct ga_attachment *attachment);
/* The client's process has ended: it is waited for no more, and what it may have pointed to does
 * not matter. */
void ga_standstill_ended(struct ga_attachment *attachment);
/* Its connection has ended. Who stands still needs none; who has not answered is waited for a
 * moment, since its process may end. */
void ga_standstill_hung_up(const struct ga_attachment *attachment);

#endif
