#include "server/shell/pass.h"

#include <stdlib.h>

#include "server/shell/connection.h"
#include "server/shell/dispatch.h"
#include "server/shell/kept_request.h"
#include "server/shell/server.h"

struct ga_pass_waiter {
    struct ga_pass_waiter *next;
    struct ga_connection *connection;
    uint64_t goal; /* of the sweep */
    struct ga_kept_request request;
};

static void append(struct ga_passes *passes, struct ga_pass_waiter *waiter)
{
    if (passes->last)
        passes->last->next = waiter;
    else
        passes->first = waiter;
    passes->last = waiter;
}

bool ga_pass_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (connection->after_pass || ga_quiet_is_on(server))
        return false;
    uint64_t goal = ga_heap_begin_sweep(server->heap);
    (void)ga_heap_sweep_some(server->heap);
    if (ga_heap_has_swept(server->heap, goal))
        return false;
    ga_server_sweep(server);
    struct ga_pass_waiter *waiter = calloc(1, sizeof(*waiter));
    if (!waiter)
        return false;
    waiter->connection = connection;
    waiter->goal = goal;
    ga_kept_request_init(&waiter->request, message);
    append(&server->passes, waiter);
    return true;
}

static bool is_due(const struct ga_server *server)
{
    const struct ga_pass_waiter *first = server->passes.first;
    return first && (ga_quiet_is_on(server) || ga_heap_has_swept(server->heap, first->goal));
}

void ga_pass_look(struct ga_server *server)
{
    struct ga_passes *passes = &server->passes;
    while (is_due(server)) {
        struct ga_pass_waiter *waiter = passes->first;
        struct ga_connection *connection = waiter->connection;
        passes->first = waiter->next;
        if (!passes->first)
            passes->last = NULL;
        connection->after_pass = true;
        ga_dispatch(connection, &waiter->request.message);
        connection->after_pass = false;
        free(waiter);
    }
}

void ga_pass_forget(struct ga_connection *connection)
{
    struct ga_passes *passes = &connection->server->passes;
    struct ga_pass_waiter *waiter = passes->first;
    *passes = (struct ga_passes){0};
    while (waiter) {
        struct ga_pass_waiter *next = waiter->next;
        waiter->next = NULL;
        if (waiter->connection == connection)
            free(waiter);
        else
            append(passes, waiter);
        waiter = next;
    }
}
