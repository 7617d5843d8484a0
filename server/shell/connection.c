/* Output goes to the kernel at once as far as it fits; the rest is queued, each message in a block
 * of its own, and counted with the block. Input lands in the frame reader's buffer; each whole
 * frame is decoded into the server's arena and dispatched before the next is looked at, so a
 * connection's messages are handled in their order.
 *
 * A connection has so many messages handled in a turn of the loop; one that has sent more is not
 * read from until the rest is done, in the turns that follow. So nobody waits for another's flood,
 * and neither does a signal.
 *
 * Bytes that are no messages end the connection: nobody knows where the next message would begin.
 */
#include "server/shell/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/error.h"
#include "server/shell/attachment.h"
#include "server/shell/dispatch.h"
#include "server/shell/log.h"
#include "server/shell/quarantine.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

#define QUEUE_MAX_BYTES (UINT64_C(4) * 1024 * 1024)
#define TURN_MESSAGES   64u /* most take a few microseconds each */

struct queued_write {
    uv_write_t request;
    struct ga_connection *connection;
    size_t cost_bytes;
    char bytes[];
};

static void on_closed(uv_handle_t *handle)
{
    struct ga_connection *connection = handle->data;
    struct ga_server *server = connection->server;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    free(connection);
    ga_server_left(server);
}

void ga_connection_close(struct ga_connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    ga_strangers_remove(&connection->server->strangers, connection);
    ga_waiters_forget_all(&connection->server->waiters, connection);
    ga_cycle_forget(connection);
    ga_pass_forget(connection);
    ga_events_forget(connection);
    if (connection->attachment) {
        connection->attachment->connection = NULL;
        connection->attachment->resume_id = 0; /* it says it again when it is back */
        ga_track_lost(connection->attachment, "its connection has ended");
        ga_standstill_hung_up(connection->attachment);
    }
    connection->attachment = NULL;
    if (connection->leaving)
        connection->leaving->connection = NULL;
    connection->leaving = NULL;
    uv_close((uv_handle_t *)&connection->handle, on_closed);
    ga_quiet_forget(connection);
}

/* ---- output ---- */

static void drop(struct ga_connection *connection, int err)
{
    uint32_t pid = connection->peer.pid;
    /* Who has hung up may have sent something before: reading goes on to its end, and ends it. */
    if (err == -EPIPE || err == -ECONNRESET)
        return;
    if (ga_log_limit_allows(&connection->server->dropped_clients, ga_world_now_ms())) {
        if (err == -EDQUOT)
            ga_log(GA_LOG_WARNING, "process %" PRIu32 " does not read its replies: it is dropped",
                   pid);
        else
            ga_log(GA_LOG_WARNING, "process %" PRIu32 " cannot be answered, and is dropped: %s",
                   pid, strerror(-err));
    }
    ga_connection_close(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct queued_write *write = request->data;
    write->connection->queued_bytes -= write->cost_bytes;
    if (status < 0 && !write->connection->closing)
        drop(write->connection, status);
    free(write);
}

static int enqueue(struct ga_connection *connection, const uint8_t *bytes, size_t nbytes)
{
    size_t cost_bytes = sizeof(struct queued_write) + nbytes;
    if (connection->queued_bytes + cost_bytes > QUEUE_MAX_BYTES)
        return -EDQUOT;
    struct queued_write *write = malloc(cost_bytes);
    if (!write)
        return -ENOMEM;
    write->request.data = write;
    write->connection = connection;
    write->cost_bytes = cost_bytes;
    memcpy(write->bytes, bytes, nbytes);
    uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)nbytes);
    int r = uv_write(&write->request, (uv_stream_t *)&connection->handle, &buffer, 1, on_written);
    if (r < 0) {
        free(write);
        return r;
    }
    connection->queued_bytes += cost_bytes;
    return 0;
}

static int send_bytes(struct ga_connection *connection, uint8_t *bytes, size_t nbytes)
{
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)nbytes);
    int n = uv_try_write((uv_stream_t *)&connection->handle, &buffer, 1);
    if (n == UV_EAGAIN)
        n = 0;
    if (n < 0)
        return n;
    size_t sent = (size_t)n;
    return sent < nbytes ? enqueue(connection, bytes + sent, nbytes - sent) : 0;
}

void ga_connection_send(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (connection->closing)
        return;
    ga_standstill_tells(server, message);
    size_t nbytes = 0;
    int r = ga_message_encode(message, server->frame, sizeof(server->frame), &nbytes);
    if (r == 0)
        r = send_bytes(connection, server->frame, nbytes);
    if (r < 0)
        drop(connection, r);
}

void ga_connection_ask_reclaim(struct ga_connection *connection, uint32_t call, bool unneeded)
{
    Goalloc__V1__Reclaim body = GOALLOC__V1__RECLAIM__INIT;
    body.call = call;
    body.unneeded = unneeded;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_RECLAIM;
    note.reclaim = &body;
    ga_connection_send(connection, &note);
}

/* ---- input ---- */

static void refuse_bytes(struct ga_connection *connection, int err)
{
    const char *why = err == -EMSGSIZE ? "a message over the limit of size"
                                       : "bytes that are no message of this protocol";
    ga_reply_failure(connection, 0, err, "the server was sent %s", why);
    if (connection->attachment)
        ga_quarantine(connection->attachment, "it sent %s", why);
    else if (ga_log_limit_allows(&connection->server->bad_peers, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING, "process %" PRIu32 " sent %s: its connection is closed",
               connection->peer.pid, why);
    ga_connection_close(connection);
}

/* Whether one more message may be handled in this turn. */
static bool turn_allows(struct ga_connection *connection)
{
    if (connection->turn != connection->server->turn) {
        connection->turn = connection->server->turn;
        connection->handled_in_turn = 0;
    }
    return connection->handled_in_turn < TURN_MESSAGES;
}

static void pause_reading(struct ga_connection *connection)
{
    connection->paused = true;
    uv_read_stop((uv_stream_t *)&connection->handle);
    ga_server_catch_up(connection->server);
}

/* Handle the frames that are whole, as many as the turn allows. Returns 0 or a negative errno. */
static int handle_frames(struct ga_connection *connection)
{
    struct ga_decode_arena *arena = &connection->server->arena;
    while (!connection->closing) {
        if (!turn_allows(connection)) {
            pause_reading(connection);
            return 0;
        }
        const uint8_t *payload;
        size_t payload_bytes;
        int r = ga_frame_reader_next(&connection->reader, &payload, &payload_bytes);
        if (r <= 0)
            return r;
        connection->handled_in_turn++;
        Goalloc__V1__Envelope *message;
        r = ga_message_decode(payload, payload_bytes, arena, &message);
        if (r < 0)
            return r;
        ga_dispatch(connection, message);
        ga_decode_arena_reset(arena);
    }
    return 0;
}

static void on_space_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct ga_connection *connection = handle->data;
    size_t nbytes;
    uint8_t *space = ga_frame_reader_space(&connection->reader, &nbytes);
    *ret = uv_buf_init((char *)space, (unsigned)nbytes);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buffer)
{
    (void)buffer;
    struct ga_connection *connection = stream->data;
    if (nread < 0) {
        ga_log(GA_LOG_DEBUG, "process %" PRIu32 " has hung up", connection->peer.pid);
        ga_attachment_hung_up(connection);
        ga_connection_close(connection);
        return;
    }
    connection->read_ns = uv_hrtime();
    ga_frame_reader_filled(&connection->reader, (size_t)nread);
    int r = handle_frames(connection);
    if (r < 0)
        refuse_bytes(connection, r);
}

bool ga_connection_go_on(struct ga_connection *connection)
{
    if (!connection->paused || connection->closing)
        return false;
    connection->paused = false;
    int r = handle_frames(connection);
    if (r < 0)
        refuse_bytes(connection, r);
    if (connection->closing)
        return false;
    if (!connection->paused &&
        uv_read_start((uv_stream_t *)&connection->handle, on_space_wanted, on_read) < 0)
        ga_connection_close(connection);
    return connection->paused;
}

/* ---- beginning ---- */

/* As many as the user may have, this one among them. */
static bool is_one_too_many(const struct ga_connection *connection)
{
    const struct ga_server *server = connection->server;
    uint64_t most = server->world->options->user_quota.of[GA_QUOTA_CONNECTIONS];
    uint64_t count = 0;
    for (const struct ga_connection *c = server->connections; most && c; c = c->next)
        count += !c->closing && c->peer.uid == connection->peer.uid;
    return count > most;
}

/* Whoever is not to be served is told when it has said Hello: an answer before that might be lost
 * when the connection closes. */
static void judge(struct ga_connection *connection, int fd)
{
    struct ga_server *server = connection->server;
    connection->not_allowed = !ga_access_allows(server->access, &connection->peer, fd);
    connection->one_too_many = !connection->not_allowed && is_one_too_many(connection);
    if ((connection->not_allowed || connection->one_too_many) &&
        ga_log_limit_allows(&server->refused_peers, connection->accepted_ms))
        ga_log(GA_LOG_WARNING, "process %" PRIu32 " of user %" PRIu32 " is refused: %s",
               connection->peer.pid, connection->peer.uid,
               connection->not_allowed ? "it is on no list of who may use the heap"
                                       : "its user has as many connections as it may have");
}

static int begin(struct ga_connection *connection, uv_stream_t *listening)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->handle;
    uv_os_fd_t fd = -1;
    int r = uv_accept(listening, stream);
    if (r == 0)
        r = uv_fileno((uv_handle_t *)stream, &fd);
    if (r == 0)
        r = ga_peer_of_socket(fd, &connection->peer);
    if (r < 0)
        return r;
    judge(connection, fd);
    return uv_read_start(stream, on_space_wanted, on_read);
}

int ga_connection_accept(struct ga_server *server, uv_stream_t *listening)
{
    struct ga_connection *connection = malloc(sizeof(*connection));
    if (!connection)
        return -ENOMEM;
    /* The buffer, the bulk of it, is left as it is. */
    memset(connection, 0, offsetof(struct ga_connection, buffer));
    connection->server = server;
    int r = uv_pipe_init(&server->loop, &connection->handle, 0);
    if (r < 0) {
        free(connection);
        return r;
    }
    connection->handle.data = connection;
    ga_frame_reader_init(&connection->reader, connection->buffer);
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    connection->accepted_ms = ga_world_now_ms();
    connection->accepted_turn = server->turn;
    ga_strangers_add(&server->strangers, connection);

    r = begin(connection, listening);
    if (r < 0) {
        ga_connection_close(connection);
        return r;
    }
    ga_log(GA_LOG_DEBUG, "process %" PRIu32 " has connected", connection->peer.pid);
    return 0;
}
