/* A connection: the bytes of one client in and out. It never waits for the client. */
#ifndef GA_SERVER_SHELL_CONNECTION_H
#define GA_SERVER_SHELL_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/frame.h"
#include "proto/message.h"
#include "server/shell/process.h"

struct ga_server;
struct ga_attachment;
struct ga_watch;

struct ga_connection {
    uv_pipe_t handle;
    struct ga_server *server;
    struct ga_connection *next;
    struct ga_connection *previous;
    struct ga_peer peer;
    uint64_t accepted_ms;
    uint64_t accepted_turn; /* of the loop */
    bool is_stranger;       /* has not said Hello (strangers.h): its place in their list */
    struct ga_connection *older;
    struct ga_connection *newer;
    bool not_allowed;  /* by the lists of users and groups */
    bool one_too_many; /* for its user's quota */
    bool greeted;      /* has said Hello */
    bool was_attached; /* at some time */
    bool came_back;    /* it was attached by another connection before */
    bool closing;
    bool paused;                      /* not reading: whole messages may be waiting in the buffer */
    uint64_t read_ns;                 /* when it was last read from */
    uint64_t turn;                    /* of the loop, in which it was last served, */
    unsigned handled_in_turn;         /* and how many messages then */
    struct ga_attachment *attachment; /* NULL = not attached */
    struct ga_attachment *leaving;    /* has said Detach, and waits for the answer */
    uint64_t attach_id;               /* of an Attach that waits for a collection's end, 0 = none */
    uint32_t attach_policy;           /* likewise */
    bool attach_tracks;               /* likewise */
    uint64_t attach_profile_rate_plus_1; /* likewise */
    bool after_collection;               /* what is being handled has waited for one, */
    bool after_current;                  /* or for the end of what was under way */
    bool after_pass;                     /* or for all to be swept */
    struct ga_watch *watch;              /* what it is told of (events.h), NULL = of nothing */
    uint32_t nwaits;                     /* for roots (waiters.h) */
    uint64_t relief_asked_ms;            /* when others of its user were asked for memory for it */
    size_t queued_bytes;                 /* of output, with what keeping it costs */
    char client_name[GA_CLIENT_NAME_BYTES];
    struct ga_frame_reader reader;
    uint8_t buffer[GA_FRAME_BUFFER_BYTES]; /* the reader's */
};

/* Accept the next connection and begin to read. 0 or a negative errno; then the connection may
 * still wait to be accepted. */
int ga_connection_accept(struct ga_server *server, uv_stream_t *listening);

/* Handle what a turn before has left over, if anything. Returns whether there may be more. */
bool ga_connection_go_on(struct ga_connection *connection);

/* Send a message. A client that does not read what it is sent loses the connection, once 4 MiB are
 * waiting for it. */
void ga_connection_send(struct ga_connection *connection, const Goalloc__V1__Envelope *message);

/* Ask the client, if it is attached and not paused, to give back what it does not use. Left out
 * while it has yet to read what was sent before. */
void ga_connection_ask_reclaim(struct ga_connection *connection, uint32_t call, bool unneeded);

/* Close; what is queued is lost, but what the kernel has taken will be read. An attachment stays
 * until its process has ended. */
void ga_connection_close(struct ga_connection *connection);

#endif
