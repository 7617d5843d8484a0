/* A table says for each message what must have gone before and who handles it. A connection begins
 * with Hello; after it the heap can be looked at, and after Attach or Reattach used. */
#include "server/shell/dispatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "proto/text.h"
#include "proto/version.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/log.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

static void handle_hello(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const Goalloc__V1__Hello *hello = message->hello;
    uint32_t version;
    int r = ga_protocol_negotiate(hello->min_version, hello->max_version, &version);
    if (r < 0) {
        ga_reply_failure(connection, message->id, r,
                         "the server speaks protocol versions %u..%u, the client %" PRIu32
                         "..%" PRIu32,
                         GA_PROTOCOL_VERSION_MIN, GA_PROTOCOL_VERSION_MAX, hello->min_version,
                         hello->max_version);
        ga_connection_close(connection);
        return;
    }
    connection->greeted = true;
    ga_strangers_remove(&connection->server->strangers, connection);
    snprintf(connection->client_name, sizeof(connection->client_name), "%s", hello->client_name);
    ga_text_clean(connection->client_name); /* the name may have been cut */

    Goalloc__V1__Welcome body = GOALLOC__V1__WELCOME__INIT;
    body.version = version;
    body.heap_name = (char *)connection->server->world->name;
    body.server_version = (char *)GOALLOC_VERSION;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_WELCOME;
    reply.welcome = &body;
    ga_reply(connection, message->id, &reply);
}

/* USE: attached, and not paused, for it changes the heap. */
enum need { NEEDS_HELLO, NEEDS_ATTACH, NEEDS_USE };
/* A CHANGE is a request that is not carried out twice, though a client may send it twice. */
enum kind { REQUEST, CHANGE, NOTE };

struct route {
    Goalloc__V1__Envelope__BodyCase body_case;
    enum kind kind;
    enum need need;
    ga_handler *handle;
};

static const struct route routes[] = {
    {GOALLOC__V1__ENVELOPE__BODY_ATTACH, REQUEST, NEEDS_HELLO, ga_handle_attach},
    {GOALLOC__V1__ENVELOPE__BODY_REATTACH, REQUEST, NEEDS_HELLO, ga_handle_reattach},
    {GOALLOC__V1__ENVELOPE__BODY_REATTACHED, NOTE, NEEDS_ATTACH, ga_handle_reattached},
    {GOALLOC__V1__ENVELOPE__BODY_GC_ROOTS, NOTE, NEEDS_ATTACH, ga_handle_gc_roots},
    {GOALLOC__V1__ENVELOPE__BODY_GC_STOPPED, NOTE, NEEDS_ATTACH, ga_handle_gc_stopped},
    {GOALLOC__V1__ENVELOPE__BODY_GC_WRITTEN, NOTE, NEEDS_ATTACH, ga_handle_gc_written},
    {GOALLOC__V1__ENVELOPE__BODY_GC_TRACKED, NOTE, NEEDS_ATTACH, ga_handle_gc_tracked},
    {GOALLOC__V1__ENVELOPE__BODY_MAPPED, NOTE, NEEDS_ATTACH, ga_handle_mapped},
    {GOALLOC__V1__ENVELOPE__BODY_DETACH, REQUEST, NEEDS_ATTACH, ga_handle_detach},
    {GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, REQUEST, NEEDS_USE, ga_handle_new_mcache},
    {GOALLOC__V1__ENVELOPE__BODY_LEASE, REQUEST, NEEDS_USE, ga_handle_lease},
    {GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC, REQUEST, NEEDS_USE, ga_handle_large_alloc},
    {GOALLOC__V1__ENVELOPE__BODY_LARGE_RESIZE, REQUEST, NEEDS_USE, ga_handle_large_resize},
    {GOALLOC__V1__ENVELOPE__BODY_PUBLISH, CHANGE, NEEDS_USE, ga_handle_publish},
    {GOALLOC__V1__ENVELOPE__BODY_REPLACE, CHANGE, NEEDS_USE, ga_handle_replace},
    {GOALLOC__V1__ENVELOPE__BODY_LOOKUP, REQUEST, NEEDS_HELLO, ga_handle_lookup},
    {GOALLOC__V1__ENVELOPE__BODY_WAIT, REQUEST, NEEDS_HELLO, ga_handle_wait},
    {GOALLOC__V1__ENVELOPE__BODY_HOLD, CHANGE, NEEDS_USE, ga_handle_hold},
    {GOALLOC__V1__ENVELOPE__BODY_RELEASE, CHANGE, NEEDS_USE, ga_handle_release},
    {GOALLOC__V1__ENVELOPE__BODY_PUT_OFF, CHANGE, NEEDS_USE, ga_handle_put_off},
    {GOALLOC__V1__ENVELOPE__BODY_UNPUBLISH, CHANGE, NEEDS_USE, ga_handle_unpublish},
    {GOALLOC__V1__ENVELOPE__BODY_GET_STATS, REQUEST, NEEDS_HELLO, ga_handle_get_stats},
    {GOALLOC__V1__ENVELOPE__BODY_GET_CLIENT_STATS, REQUEST, NEEDS_HELLO,
     ga_handle_get_client_stats},
    {GOALLOC__V1__ENVELOPE__BODY_GC, REQUEST, NEEDS_HELLO, ga_handle_gc},
    {GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, REQUEST, NEEDS_HELLO, ga_handle_get_status},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_SPANS, REQUEST, NEEDS_HELLO, ga_handle_list_spans},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_CLIENTS, REQUEST, NEEDS_HELLO, ga_handle_list_clients},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_USERS, REQUEST, NEEDS_HELLO, ga_handle_list_users},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS, REQUEST, NEEDS_HELLO, ga_handle_list_roots},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_ARENAS, REQUEST, NEEDS_HELLO, ga_handle_list_arenas},
    {GOALLOC__V1__ENVELOPE__BODY_SCAVENGE, REQUEST, NEEDS_HELLO, ga_handle_scavenge},
    {GOALLOC__V1__ENVELOPE__BODY_WATCH, REQUEST, NEEDS_HELLO, ga_handle_watch},
    {GOALLOC__V1__ENVELOPE__BODY_PROGRAM, NOTE, NEEDS_HELLO, ga_handle_program},
    {GOALLOC__V1__ENVELOPE__BODY_LIST_PROGRAMS, REQUEST, NEEDS_HELLO, ga_handle_list_programs},
    {GOALLOC__V1__ENVELOPE__BODY_BAD_FREE, NOTE, NEEDS_ATTACH, ga_handle_bad_free},
    {GOALLOC__V1__ENVELOPE__BODY_PROFILE_ROOM, REQUEST, NEEDS_ATTACH, ga_handle_profile_room},
    {GOALLOC__V1__ENVELOPE__BODY_SET_PROFILE_RATE, REQUEST, NEEDS_HELLO,
     ga_handle_set_profile_rate},
    {GOALLOC__V1__ENVELOPE__BODY_SYNC, REQUEST, NEEDS_HELLO, ga_handle_sync},
    {GOALLOC__V1__ENVELOPE__BODY_QUIESCE, REQUEST, NEEDS_HELLO, ga_handle_quiesce},
    {GOALLOC__V1__ENVELOPE__BODY_PAUSE, REQUEST, NEEDS_ATTACH, ga_handle_pause},
    {GOALLOC__V1__ENVELOPE__BODY_RESUME, REQUEST, NEEDS_HELLO, ga_handle_resume},
    {GOALLOC__V1__ENVELOPE__BODY_STOP_WAITING, NOTE, NEEDS_HELLO, ga_handle_stop_waiting},
    {GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS, NOTE, NEEDS_USE, ga_handle_return},
    {GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE, NOTE, NEEDS_USE, ga_handle_large_free},
    {GOALLOC__V1__ENVELOPE__BODY_LEASE_AHEAD, NOTE, NEEDS_USE, ga_handle_lease_ahead},
    {GOALLOC__V1__ENVELOPE__BODY_RECLAIMED, NOTE, NEEDS_ATTACH, ga_handle_reclaimed},
};

static const struct route *find_route(Goalloc__V1__Envelope__BodyCase body_case)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (routes[i].body_case == body_case)
            return &routes[i];
    return NULL;
}

static void greet(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (connection->not_allowed) {
        ga_reply_failure(connection, message->id, -EACCES,
                         "user %" PRIu32 " is not among those that may use this heap",
                         connection->peer.uid);
        ga_connection_close(connection);
    } else if (connection->one_too_many) {
        ga_reply_failure(connection, message->id, -EDQUOT,
                         "the quota of user %" PRIu32 " is used up: connections=%" PRIu64,
                         connection->peer.uid,
                         connection->server->world->options->user_quota.of[GA_QUOTA_CONNECTIONS]);
        ga_connection_close(connection);
    } else if (message->body_case != GOALLOC__V1__ENVELOPE__BODY_HELLO) {
        ga_reply_failure(connection, message->id, -EPROTO, "the first message must be Hello");
        ga_connection_close(connection);
    } else if (message->id == 0) {
        ga_reply_failure(connection, 0, -EBADMSG, "a request has the id 0");
    } else {
        handle_hello(connection, message);
    }
}

/* A note of one who is not attached. Of one who was, its process has ended since it was sent. */
static void ignore_note(struct ga_connection *connection)
{
    if (!connection->was_attached &&
        ga_log_limit_allows(&connection->server->bad_notes, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING,
               "process %" PRIu32 " sent a note about the heap without being attached: ignored",
               connection->peer.pid);
}

static void answer_again(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                         uint64_t old_offset)
{
    if (message->body_case == GOALLOC__V1__ENVELOPE__BODY_REPLACE)
        ga_reply_replaced(connection, message->id, old_offset);
    else
        ga_reply_done(connection, message->id);
}

/* Carry a change out, unless it has been. */
static void change(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                   ga_handler *handle)
{
    struct ga_heap *heap = connection->server->heap;
    if (message->place == 0) {
        handle(connection, message);
        return;
    }
    uint64_t old_offset = 0;
    int r = ga_heap_begin_request(heap, connection->attachment->client, message->place - 1,
                                  message->first_id ? message->first_id : message->id, &old_offset);
    if (r < 0) {
        ga_reply_failure(connection, message->id, r,
                         "there is no place %" PRIu32 " for an answer, only 1..%u", message->place,
                         GA_OUTCOME_COUNT);
    } else if (r == GA_REQUEST_DONE) {
        answer_again(connection, message, old_offset);
    } else {
        handle(connection, message);
        ga_heap_end_request(heap);
    }
}

static void handle(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                   const struct route *route)
{
    if (route->need != NEEDS_HELLO)
        connection->attachment->settled = true;
    if (route->need == NEEDS_USE && !ga_pause_allows(connection, message))
        return;
    if (route->kind == CHANGE)
        change(connection, message, route->handle);
    else
        route->handle(connection, message);
}

void ga_dispatch(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (!connection->greeted) {
        greet(connection, message);
        return;
    }
    const struct route *route = find_route(message->body_case);
    if (message->body_case == GOALLOC__V1__ENVELOPE__BODY_HELLO)
        ga_reply_failure(connection, message->id, -EPROTO, "Hello was said already");
    else if (!route)
        ga_reply_failure(connection, message->id, -EBADMSG, "this is a message for clients");
    else if (route->kind != NOTE && message->id == 0)
        ga_reply_failure(connection, 0, -EBADMSG, "a request has the id 0");
    else if (route->kind == NOTE && message->id != 0)
        ga_reply_failure(connection, message->id, -EBADMSG,
                         "a note has the id %" PRIu64 ", as if it were a request", message->id);
    else if (route->need == NEEDS_HELLO || connection->attachment)
        handle(connection, message, route);
    else if (route->kind == NOTE)
        ignore_note(connection);
    else
        ga_reply_failure(connection, message->id, -EPERM, "the client is not attached to the heap");
}
