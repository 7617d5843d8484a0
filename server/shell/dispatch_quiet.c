/* Quiet for a copy of the heap. Only who is attached can ask for what changes the heap, so it is
 * quiet when nobody is and nobody new may; what is left is our own sweeping (server.c). It lasts as
 * long as the connection, so that one who is killed holds nobody up. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* Enough for people to see who it is, and never more than a message may have. */
#define SHOWN_MAX 64u

static void fill_client(struct ga_client_info *info, Goalloc__V1__ClientInfo *client)
{
    goalloc__v1__client_info__init(client);
    client->client = info->client + 1;
    client->pid = info->pid;
    client->uid = info->uid;
    client->name = info->name;
}

void ga_handle_quiesce(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    uint32_t uid = connection->peer.uid;
    /* Others of the heap could keep everybody from attaching. */
    if (uid != geteuid() && uid != 0) {
        ga_reply_failure(connection, message->id, -EPERM,
                         "only root and the user of the server may copy the heap");
        return;
    }
    if (server->quiet_for && server->quiet_for != connection) {
        ga_reply_failure(connection, message->id, -EBUSY,
                         "process %" PRIu32 " takes a snapshot of the heap already",
                         server->quiet_for->peer.pid);
        return;
    }
    /* Whoever is leaving is taken back first: nobody else has a use for the server meanwhile. */
    while (ga_attachment_go_on(server))
        ;
    struct ga_client_info infos[SHOWN_MAX];
    Goalloc__V1__ClientInfo clients[SHOWN_MAX];
    Goalloc__V1__ClientInfo *list[SHOWN_MAX];
    Goalloc__V1__Quiet body = GOALLOC__V1__QUIET__INIT;
    body.clients = list;
    struct ga_client_info info;
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        body.nclients++;
        if (body.n_clients == SHOWN_MAX)
            continue;
        infos[body.n_clients] = info;
        fill_client(&infos[body.n_clients], &clients[body.n_clients]);
        list[body.n_clients] = &clients[body.n_clients];
        body.n_clients++;
    }
    if (body.nclients == 0) {
        ga_heap_sweep_pending(server->heap);
        server->quiet_for = connection;
        ga_log(GA_LOG_DEBUG, "quiet for process %" PRIu32 ", which copies the heap",
               connection->peer.pid);
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_QUIET;
    reply.quiet = &body;
    ga_reply(connection, message->id, &reply);
}
