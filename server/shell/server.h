/* The server as a whole: the heap, the loop, and who is connected. One thread. */
#ifndef GA_SERVER_SHELL_SERVER_H
#define GA_SERVER_SHELL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/latency.h"
#include "proto/message.h"
#include "server/heap.h"
#include "server/shell/cycle.h"
#include "server/shell/events.h"
#include "server/shell/listener.h"
#include "server/shell/log.h"
#include "server/shell/pass.h"
#include "server/shell/programs.h"
#include "server/shell/quiet.h"
#include "server/shell/refusal.h"
#include "server/shell/scavenger.h"
#include "server/shell/service.h"
#include "server/shell/signals.h"
#include "server/shell/standstill.h"
#include "server/shell/track.h"
#include "server/shell/strangers.h"
#include "server/shell/turns.h"
#include "server/shell/waiters.h"
#include "server/shell/world.h"

struct ga_connection;
struct ga_attachment;
struct ga_reload;

/* Of requests for spans: how many, and how long they took (LeaseStats). */
struct ga_lease_times {
    uint64_t requests;
    uint64_t spans;
    struct ga_latency served;
    struct ga_latency waited;
};

struct ga_server {
    uv_loop_t loop;
    struct ga_world *world;
    struct ga_heap *heap;
    const char *socket_path;
    const struct ga_access *access;
    struct ga_listener *listener; /* whose file is removed at the end; NULL = none yet */
    uv_pipe_t listening;
    uv_signal_t signals[GA_ENDING_SIGNALS];
    uv_timer_t sweep_timer;
    uv_timer_t private_timer; /* runs where the server is private and nobody is there */
    uv_check_t after_reading;
    uv_idle_t catching_up; /* runs while a connection has more than a turn's messages */
    uv_idle_t recovering;  /* runs while a client is leaving */
    uv_idle_t sweeping;    /* runs during a pass over the pending bits */
    uint64_t turn;         /* of the loop */
    struct ga_turns turns; /* how long they take */
    struct ga_refusal refusal;
    struct ga_connection *connections; /* a list, those that are closing included */
    struct ga_attachment *attachments; /* likewise */
    struct ga_programs programs;       /* that have a heap of their own */
    struct ga_strangers strangers;     /* who has not said Hello */
    struct ga_waiters waiters;         /* for roots */
    struct ga_passes passes;           /* who waits for all to be swept */
    struct ga_quiet quiet;             /* for who copies the heap */
    struct ga_track track;             /* what clients write while it is marked */
    struct ga_standstill standstill;   /* for that */
    struct ga_cycle cycle;             /* of collection */
    struct ga_lease_times leases;
    struct ga_events events;   /* for who watches */
    struct ga_service service; /* what the service manager is told */
    struct ga_reload *reload;  /* NULL = there is nothing to be read again */
    bool is_private;           /* it ends when nobody is there */
    struct ga_scavenger scavenger;
    bool ending;
    bool damaged;         /* an object was truncated: that is why it ends */
    uint64_t shortage_ms; /* when clients were last asked for memory */
    bool look_odd;        /* of two ticks, the one at which they are asked for what they need not */
    struct ga_log_limit bad_notes;
    struct ga_log_limit broken_pauses;
    struct ga_log_limit bad_peers;
    struct ga_log_limit refused_peers;
    struct ga_log_limit spoilt_words;
    struct ga_log_limit refused_punches;
    struct ga_log_limit fragments;
    uint32_t next_suspect;     /* spoilt.c: where it looks on */
    uint64_t accept_turn;      /* the last in which somebody was accepted, */
    unsigned accepted_in_turn; /* and how many then */
    bool has_one_more;         /* somebody waits to be accepted in the next turn */
    struct ga_log_limit dropped_clients;
    struct ga_decode_arena arena;         /* of the message being handled */
    uint8_t frame[GA_FRAME_BUFFER_BYTES]; /* of the message being sent */
};

/* Make a server for heap; world, socket_path and access must outlive it. 0 or a negative errno. */
int ga_server_new(struct ga_world *world, struct ga_heap *heap, const char *socket_path,
                  const struct ga_access *access, struct ga_server **ret);
/* After ga_server_run, or without it. NULL is allowed. */
void ga_server_free(struct ga_server *server);

/* Accept clients at a listener, whose descriptor becomes the server's, and whose file the server
 * removes when it ends; the listener must outlive it. From then on signals end the server. 0 or a
 * negative errno. */
int ga_server_listen(struct ga_server *server, struct ga_listener *listener);

/* From now on end once nobody is connected, but to watch, and no client is left; if nobody ever
 * comes, after 10 s.
 * After ga_server_listen. 0 or a negative errno. */
int ga_server_make_private(struct ga_server *server);
/* A connection or an attachment has gone. */
void ga_server_left(struct ga_server *server);

/* Have ga_connection_go_on called for every connection in the next turn of the loop. */
void ga_server_catch_up(struct ga_server *server);

/* Sweep a slice in each turn of the loop, until the pass over the pending bits is done. */
void ga_server_sweep(struct ga_server *server);

/* Have ga_attachment_go_on called once in each turn of the loop, until nobody is leaving. */
void ga_server_recover(struct ga_server *server);

/* From now on SIGHUP has the options read again, and does not end the server. */
void ga_server_set_reload(struct ga_server *server, struct ga_reload *reload);

/* Serve until SIGTERM, SIGINT or, without ga_server_set_reload, SIGHUP: 0. -EIO when an object was
 * truncated, which has been logged. */
int ga_server_run(struct ga_server *server);

#endif
