/* The watch is a pidfd in the loop: readable means that every thread of the process has ended, and
 * so that its last store has been made. */
#include "server/shell/attachment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/text.h"
#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/process.h"
#include "server/shell/quiet.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"
#include "server/shell/spoilt.h"

/* How many spans are taken back in one turn of the loop. */
#define SLICE_NSPANS 256u

static void on_closed(uv_handle_t *handle)
{
    struct ga_attachment *attachment = handle->data;
    if (attachment->previous)
        attachment->previous->next = attachment->next;
    else
        attachment->server->attachments = attachment->next;
    if (attachment->next)
        attachment->next->previous = attachment->previous;
    struct ga_server *server = attachment->server;
    close(attachment->pidfd);
    free(attachment);
    ga_server_left(server);
}

void ga_attachment_abandon(struct ga_attachment *attachment)
{
    if (attachment->ended)
        return;
    attachment->ended = true;
    if (attachment->connection) {
        attachment->connection->attachment = NULL;
        attachment->connection->leaving = NULL;
    }
    attachment->connection = NULL;
    uv_close((uv_handle_t *)&attachment->watch, on_closed);
}

/* Recover a slice of a client that is leaving; with the last one it is gone. */
static void recover_slice(struct ga_attachment *attachment)
{
    if (!ga_heap_recover(attachment->server->heap, attachment->client, SLICE_NSPANS))
        return;
    ga_cycle_look(attachment->server);
    if (attachment->connection)
        ga_reply_done(attachment->connection, attachment->detach_id);
    ga_attachment_abandon(attachment);
}

void ga_attachment_end(struct ga_attachment *attachment, uint64_t detach_id)
{
    struct ga_server *server = attachment->server;
    struct ga_connection *connection = attachment->connection;
    if (attachment->ended || attachment->leaving || attachment->ends_later)
        return;
    if (ga_quiet_is_on(server)) {
        attachment->ends_later = true;
        attachment->detach_id = detach_id;
        uv_poll_stop(&attachment->watch);
        return;
    }
    if (detach_id != 0)
        ga_standstill_detached(attachment);
    ga_spoilt_look_at(attachment);
    ga_heap_client_leave(server->heap, attachment->client);
    /* Now, for a collection may begin with this, of a heap in which the client is leaving. */
    ga_track_lost(attachment, "it has ended");
    ga_standstill_ended(attachment);
    attachment->leaving = true;
    attachment->detach_id = detach_id;
    uv_poll_stop(&attachment->watch); /* a process that has ended is ready for ever */
    if (connection) {
        connection->attachment = NULL;
        connection->leaving = detach_id ? attachment : NULL;
    }
    if (detach_id == 0)
        attachment->connection = NULL;
    recover_slice(attachment);
    if (!attachment->ended)
        ga_server_recover(server);
    ga_quiet_look(server);
}

void ga_attachment_hung_up(struct ga_connection *connection)
{
    if (connection->attachment && !connection->attachment->settled)
        ga_attachment_end(connection->attachment, 0);
}

bool ga_attachment_go_on(struct ga_server *server)
{
    struct ga_attachment *attachment = server->attachments;
    while (attachment && (!attachment->leaving || attachment->ended))
        attachment = attachment->next;
    if (!attachment)
        return false;
    recover_slice(attachment);
    return true;
}

static void on_process_event(uv_poll_t *watch, int status, int events)
{
    struct ga_attachment *attachment = watch->data;
    /* An error of the watch is no news of the process. */
    if (status < 0 || !(events & UV_READABLE))
        return;
    ga_event_death(attachment);
    ga_attachment_end(attachment, 0);
}

static void link_to(struct ga_attachment *attachment, struct ga_server *server)
{
    attachment->next = server->attachments;
    if (attachment->next)
        attachment->next->previous = attachment;
    server->attachments = attachment;
}

/* Begin to watch pidfd, which is the attachment's from then on. */
static int watch(struct ga_server *server, uint32_t pid, uint32_t uid, int pidfd,
                 struct ga_attachment **ret)
{
    struct ga_attachment *attachment = calloc(1, sizeof(*attachment));
    if (!attachment)
        return -ENOMEM;
    int r = uv_poll_init(&server->loop, &attachment->watch, pidfd);
    if (r < 0) {
        free(attachment);
        return r;
    }
    attachment->watch.data = attachment;
    attachment->pidfd = pidfd;
    attachment->pid = pid;
    attachment->uid = uid;
    attachment->server = server;
    link_to(attachment, server);
    *ret = attachment;
    return 0;
}

uint32_t ga_attachment_count(const struct ga_server *server, uint32_t pid)
{
    uint32_t count = 0;
    for (const struct ga_attachment *a = server->attachments; a; a = a->next)
        count += !a->ended && a->pid == pid;
    return count;
}

int ga_attachment_new(struct ga_connection *connection, struct ga_attachment **ret)
{
    struct ga_server *server = connection->server;
    const struct ga_peer *peer = &connection->peer;
    uv_os_fd_t socket;
    int r = uv_fileno((uv_handle_t *)&connection->handle, &socket);
    if (r < 0)
        return r;
    int pidfd = -1;
    uint64_t start_time = 0;
    r = ga_process_watch_fd(socket, peer, &pidfd, &start_time);
    if (r < 0)
        return r;
    struct ga_attachment *attachment = NULL;
    r = watch(server, peer->pid, peer->uid, pidfd, &attachment);
    if (r < 0) {
        close(pidfd);
        return r;
    }
    r = uv_poll_start(&attachment->watch, UV_READABLE, on_process_event);
    if (r == 0)
        r = ga_heap_attach(server->heap, peer->pid, peer->uid, peer->gid, start_time,
                           connection->client_name, &attachment->client);
    if (r < 0) {
        ga_attachment_abandon(attachment);
        return r;
    }
    snprintf(attachment->name, sizeof(attachment->name), "%s", connection->client_name);
    attachment->connection = connection;
    connection->attachment = attachment;
    connection->was_attached = true;
    *ret = attachment;
    return 0;
}

/* Watch a client that the heap has from its former server. -ESRCH where its process has ended. */
static int adopt(struct ga_server *server, const struct ga_client_info *client,
                 struct ga_attachment **ret)
{
    int pidfd = -1;
    int r = ga_process_watch_pid(client->pid, client->start_time, &pidfd);
    if (r < 0)
        return r;
    struct ga_attachment *attachment = NULL;
    r = watch(server, client->pid, client->uid, pidfd, &attachment);
    if (r < 0) {
        close(pidfd);
        return r;
    }
    r = uv_poll_start(&attachment->watch, UV_READABLE, on_process_event);
    if (r < 0) {
        ga_attachment_abandon(attachment);
        return r;
    }
    attachment->settled = true; /* as far as can be told */
    attachment->client = client->client;
    snprintf(attachment->name, sizeof(attachment->name), "%s", client->name);
    ga_text_clean(attachment->name);
    attachment->nmcaches = client->mcaches;
    *ret = attachment;
    return 0;
}

/* Whether the process at the other end of connection is the one that info is about: by pid and
 * start time, which the kernel tells. */
static int check_process(const struct ga_connection *connection, const struct ga_client_info *info)
{
    uv_os_fd_t socket;
    int r = uv_fileno((const uv_handle_t *)&connection->handle, &socket);
    if (r < 0)
        return r;
    int pidfd = -1;
    uint64_t start_time = 0;
    r = ga_process_watch_fd(socket, &connection->peer, &pidfd, &start_time);
    if (r < 0)
        return r;
    close(pidfd);
    return connection->peer.pid == info->pid && start_time == info->start_time ? 0 : -EPERM;
}

struct ga_attachment *ga_attachment_find(const struct ga_server *server, ga_client_id client)
{
    struct ga_attachment *a = server->attachments;
    while (a && (a->ended || a->leaving || a->client != client))
        a = a->next;
    return a;
}

int ga_attachment_resume(struct ga_connection *connection, ga_client_id client, uint32_t *ret_pid)
{
    struct ga_server *server = connection->server;
    struct ga_client_info info;
    if (connection->attachment || connection->leaving)
        return -EBUSY;
    if (ga_heap_next_client(server->heap, client, &info) < 0 || info.client != client)
        return -ENOENT;
    *ret_pid = info.pid;
    int r = check_process(connection, &info);
    if (r < 0)
        return r;
    struct ga_attachment *attachment = ga_attachment_find(server, client);
    if (!attachment) {
        /* It could not be watched when the heap was taken over. */
        r = adopt(server, &info, &attachment);
        if (r < 0)
            return r;
    }
    if (attachment->connection) {
        attachment->connection->attachment = NULL;
        ga_connection_close(attachment->connection);
    }
    attachment->connection = connection;
    ga_shortage_forget(attachment);
    connection->attachment = attachment;
    connection->was_attached = true;
    connection->came_back = true;
    attachment->settled = true;
    return ga_heap_client_back(server->heap, client);
}

/* A process that has become another program by exec: its threads and its memory have gone, and with
 * them all that it could point to. It has neither a connection, nor the heap mapped. */
static bool is_another_program(const struct ga_attachment *attachment)
{
    const struct ga_server *server = attachment->server;
    return !attachment->connection &&
           ga_process_maps(attachment->pid, server->world->mappings[GA_OBJECT_HEAP].fd) == 0;
}

void ga_attachment_end_replaced(struct ga_server *server)
{
    struct ga_client_info info;
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        struct ga_attachment *attachment =
            info.managed ? ga_attachment_find(server, info.client) : NULL;
        if (!attachment || !is_another_program(attachment))
            continue;
        ga_log(GA_LOG_INFO, "process %" PRIu32 ", client %" PRIu32 " (%s), runs another program",
               info.pid, info.client + 1, info.name);
        ga_attachment_end(attachment, 0);
    }
}

void ga_attachment_adopt_all(struct ga_server *server)
{
    struct ga_client_info info;
    uint32_t alive = 0;
    uint32_t gone = 0;
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        struct ga_attachment *attachment;
        int r = adopt(server, &info, &attachment);
        if (r == -ESRCH) {
            ga_heap_client_gone(server->heap, info.client);
            gone++;
            continue;
        }
        alive++;
        if (r < 0)
            ga_log(GA_LOG_WARNING,
                   "process %" PRIu32 " cannot be watched, and keeps what it holds: %s", info.pid,
                   strerror(-r));
    }
    ga_log(GA_LOG_INFO,
           "took heap '%s' over: %" PRIu32 " of its clients live, %" PRIu32 " have ended",
           server->world->name, alive, gone);
    ga_cycle_look(server);
}
