/* Messages about roots. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* Encoded, a Root in a list has at most a tag and length of 3 bytes, the name with 3, an offset
 * with 11 and a client with 6. */
#define ROOT_MAX_BYTES (3 + 3 + GA_ROOT_NAME_MAX + 11 + 6)
#define LIST_ROOTS     ((GA_LIST_MAX_BYTES - 64) / ROOT_MAX_BYTES)

static bool name_is_sound(struct ga_connection *connection, uint64_t id, const char *name)
{
    size_t length = strlen(name);
    if (length == 0)
        ga_reply_failure(connection, id, -EINVAL, "name is empty");
    else if (length > GA_ROOT_NAME_MAX)
        ga_reply_failure(connection, id, -ENAMETOOLONG, "name is %zu bytes long, the limit is %u",
                         length, GA_ROOT_NAME_MAX);
    else
        return true;
    return false;
}

static void fail_publish(struct ga_connection *connection, uint64_t id, int err, const char *name,
                         uint64_t offset)
{
    switch (err) {
    case -EEXIST:
        ga_reply_failure(connection, id, err, "a root is already called '%s'", name);
        break;
    case -ENOSPC:
        ga_reply_failure(connection, id, err, "there are %u roots, the most there can be",
                         GA_ROOT_COUNT);
        break;
    case -EDQUOT:
        ga_fail_for_quota(connection, id);
        break;
    case -ENOMEM:
        ga_fail_for_memory(connection, id);
        break;
    default:
        ga_reply_failure(connection, id, err, "offset 0x%" PRIx64 " is in no object of the heap",
                         offset);
    }
}

/* Tell those who wait what name stands for now. */
static void answer_waiters(struct ga_server *server, const char *name)
{
    uint64_t offset;
    uint32_t client_plus_1;
    if (ga_heap_lookup(server->heap, name, &offset, &client_plus_1) == 0)
        ga_waiters_answer(&server->waiters, name, offset, client_plus_1);
}

void ga_handle_publish(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__Publish *wanted = message->publish;
    if (!name_is_sound(connection, message->id, wanted->name))
        return;
    server->world->refused_memory = false;
    int r =
        ga_heap_publish(server->heap, connection->attachment->client, wanted->name, wanted->offset);
    if (r < 0) {
        fail_publish(connection, message->id, r, wanted->name, wanted->offset);
        return;
    }
    ga_reply_done(connection, message->id);
    answer_waiters(server, wanted->name);
}

void ga_handle_replace(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__Replace *wanted = message->replace;
    if (!name_is_sound(connection, message->id, wanted->name))
        return;
    server->world->refused_memory = false;
    uint64_t old_offset = 0;
    int r = ga_heap_replace(server->heap, connection->attachment->client, wanted->name,
                            wanted->offset, &old_offset);
    if (r < 0) {
        fail_publish(connection, message->id, r, wanted->name, wanted->offset);
        return;
    }
    ga_reply_replaced(connection, message->id, old_offset);
    answer_waiters(server, wanted->name);
}

static void fail_missing(struct ga_connection *connection, uint64_t id, int err, const char *name)
{
    ga_reply_failure(connection, id, err, "no root is called '%s'", name);
}

void ga_handle_lookup(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const char *name = message->lookup->name;
    if (!name_is_sound(connection, message->id, name))
        return;
    uint64_t offset;
    uint32_t client_plus_1;
    int r = ga_heap_lookup(connection->server->heap, name, &offset, &client_plus_1);
    if (r < 0)
        fail_missing(connection, message->id, r, name);
    else
        ga_reply_root(connection, message->id, name, offset, client_plus_1);
}

void ga_handle_wait(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const char *name = message->wait->name;
    if (!name_is_sound(connection, message->id, name))
        return;
    uint64_t offset;
    uint32_t client_plus_1;
    if (ga_heap_lookup(server->heap, name, &offset, &client_plus_1) == 0) {
        ga_reply_root(connection, message->id, name, offset, client_plus_1);
        return;
    }
    int r = ga_waiters_add(&server->waiters, connection, message->id, name);
    if (r == -EAGAIN)
        ga_reply_failure(connection, message->id, r,
                         "the connection waits for %u roots already, the most it may",
                         GA_CONNECTION_WAITS_MAX);
    else if (r < 0)
        ga_reply_failure(connection, message->id, r,
                         "the server has no memory for one more who waits for a root");
}

void ga_handle_stop_waiting(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    ga_waiters_forget(&connection->server->waiters, connection, message->stop_waiting->id);
}

void ga_handle_unpublish(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const char *name = message->unpublish->name;
    if (!name_is_sound(connection, message->id, name))
        return;
    int r = ga_heap_unpublish(connection->server->heap, name);
    if (r < 0)
        fail_missing(connection, message->id, r, name);
    else
        ga_reply_done(connection, message->id);
}

void ga_handle_list_roots(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_heap *heap = connection->server->heap;
    struct ga_root_info infos[LIST_ROOTS];
    Goalloc__V1__Root roots[LIST_ROOTS];
    Goalloc__V1__Root *list[LIST_ROOTS];
    Goalloc__V1__RootList body = GOALLOC__V1__ROOT_LIST__INIT;
    body.roots = list;
    uint64_t cursor = message->list_roots->cursor;
    struct ga_root_info info;
    while (cursor < GA_ROOT_COUNT && ga_heap_next_root(heap, (uint32_t)cursor, &info) == 0) {
        if (body.n_roots == LIST_ROOTS) {
            body.next = info.index;
            break;
        }
        size_t i = body.n_roots++;
        infos[i] = info;
        goalloc__v1__root__init(&roots[i]);
        roots[i].name = infos[i].name;
        roots[i].offset = info.offset;
        roots[i].client = info.client_plus_1;
        list[i] = &roots[i];
        cursor = (uint64_t)info.index + 1;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST;
    reply.root_list = &body;
    ga_reply(connection, message->id, &reply);
}
