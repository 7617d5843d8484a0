/* The server as a whole: the heap, the loop, and who is connected. One thread. */
#ifndef GA_SERVER_SHELL_SERVER_H
#define GA_SERVER_SHELL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/message.h"
#include "server/heap.h"
#include "server/shell/listener.h"
#include "server/shell/log.h"
#include "server/shell/world.h"

struct ga_connection;
struct ga_attachment;

struct ga_server {
    uv_loop_t loop;
    struct ga_world *world;
    struct ga_heap *heap;
    const char *socket_path;
    uv_pipe_t listening;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t sweep_timer;
    uv_check_t after_reading;
    struct ga_connection *connections; /* a list, those that are closing included */
    struct ga_attachment *attachments; /* likewise */
    bool sweep_wanted;                 /* somebody freed a large object: once, after reading */
    bool ending;
    uint64_t reclaim_sent_ms;
    struct ga_log_limit bad_notes;
    struct ga_log_limit bad_peers;
    struct ga_log_limit dropped_clients;
    struct ga_decode_arena arena;         /* of the message being handled */
    uint8_t frame[GA_FRAME_BUFFER_BYTES]; /* of the message being sent */
};

/* Make a server for heap; world and socket_path must outlive it. 0 or a negative errno. */
int ga_server_new(struct ga_world *world, struct ga_heap *heap, const char *socket_path,
                  struct ga_server **ret);
/* After ga_server_run, or without it. NULL is allowed. */
void ga_server_free(struct ga_server *server);

/* Accept clients at a listener, whose descriptor becomes the server's. 0 or a negative errno. */
int ga_server_listen(struct ga_server *server, struct ga_listener *listener);

/* Serve until SIGTERM or SIGINT. */
void ga_server_run(struct ga_server *server);

#endif
