/* Which pages of the heap clients write to while a collection marks, and nobody stands still
 * (client/ track.c is the other side). All clients are asked for that, whether they are collected
 * or not, since any of them can store a pointer. Where one cannot say it, or cannot be asked, or
 * one comes or goes, what was written is not known; then the collection marks all while clients
 * stand still, as it does where it was told so (--gc-mode).
 *
 * It is for cycle.c, which is told when all have answered (ga_cycle_tracked). */
#ifndef GA_SERVER_SHELL_TRACK_H
#define GA_SERVER_SHELL_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/message.h"

struct ga_attachment;
struct ga_connection;
struct ga_server;

#define GA_TRACK_WHY_BYTES  320
#define GA_TRACK_TEXT_BYTES 352

/* Of an attachment. */
enum ga_tracking {
    GA_TRACKING_NOT = 0,
    GA_TRACKING_ASKED = 1, /* and has not answered */
    GA_TRACKING_TOLD = 2,
};

struct ga_track {
    bool on;         /* clients note what they write */
    uint32_t number; /* what they know this by */
    uint32_t nwaiting;
    uint64_t began_ns;
    uv_timer_t limit;  /* for the answers */
    uint64_t *written; /* a bit each OS page of the heap */
    uint64_t room;     /* words */
    uint64_t nwords;   /* of them, that may be other than 0 */
    uint64_t *roots;   /* that managed clients told at the beginning */
    uint64_t nroots;
    uint64_t roots_room;
    uint64_t stood_ns;            /* the longest that one of them stood still for that */
    char why[GA_TRACK_WHY_BYTES]; /* what was written is not known; "" = it is */
};

/* 0 or a negative errno. */
int ga_track_init(struct ga_server *server);
/* The server is ending. */
void ga_track_close(struct ga_server *server);

/* Ask all clients to note what they write from now on. False if that cannot be, and why says so.
 * Else cycle.c is told when all have answered, or it has become clear that it cannot be; not before
 * this returns. */
bool ga_track_begin(struct ga_server *server);
/* Likewise: ask all what they have written since, while they run and note it further. */
void ga_track_again(struct ga_server *server);
/* Ask those who do not stand still what they have written since. True if nobody has to be waited
 * for, else cycle.c is told. */
bool ga_track_last(struct ga_server *server);
/* Whether what was written is known. */
bool ga_track_is_known(const struct ga_server *server);
/* How many pages that are, and from now on none. */
uint64_t ga_track_count(const struct ga_server *server);
void ga_track_clear(struct ga_server *server);
/* It is over. */
void ga_track_end(struct ga_server *server);

/* How managed clients are collected, by the last time that they were. */
void ga_track_describe(const struct ga_server *server, char ret[static GA_TRACK_TEXT_BYTES]);

/* What clients say. Roots are told for the number that this has. */
bool ga_track_takes_roots(const struct ga_connection *connection, const Goalloc__V1__GcRoots *note);
void ga_track_written(struct ga_connection *connection, const Goalloc__V1__GcWritten *note);
void ga_track_tracked(struct ga_connection *connection, const Goalloc__V1__GcTracked *note);

/* The client is there from now on; or it is not any more, or has no connection. */
void ga_track_joined(struct ga_attachment *attachment);
void ga_track_lost(struct ga_attachment *attachment, const char *how);

#endif
