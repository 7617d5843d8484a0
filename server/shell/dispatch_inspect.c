/* Messages by which the heap is looked at. A list is cut where its entries, at their longest, would
 * pass the limit of a reply; the cursor of the next part is the first entry left out. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proto/age.h"
#include "proto/text.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"
#include "shm/arenas.h"

/* Encoded, each entry has a tag and a length of 3 bytes together, each number a tag and at most 5
 * bytes (32 bits) or 10 (64 bits), a short text a tag and a length. */
#define SPAN_MAX_BYTES   (3 + 7 * 6)
#define CLIENT_MAX_BYTES (3 + 6 * 6 + (2 + 31) + 5 * 11 + 2 * 2)
#define USER_MAX_BYTES   (3 + 6 + 12 * 11)
#define ARENA_MAX_BYTES  (3 + 5 * 6)
/* Entries that are looked at for one part of a list, so that others are served between two: a
 * millisecond or so, where none of them is in a cache. */
#define LOOK_PAGES        32768u
#define LOOK_READY_ARENAS 16u
#define LIST_AGES         (GA_LIST_MAX_BYTES - 64)
#define LIST_ARENAS       ((GA_LIST_MAX_BYTES - 64) / ARENA_MAX_BYTES)
#define LIST_SPANS        ((GA_LIST_MAX_BYTES - 64) / SPAN_MAX_BYTES)
#define LIST_USERS        ((GA_LIST_MAX_BYTES - 64) / USER_MAX_BYTES)
#define LIST_CLIENTS      ((GA_LIST_MAX_BYTES - 64) / CLIENT_MAX_BYTES)

/* What this process has had of the cores, all its threads. */
static uint64_t cpu_ns(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void ga_handle_get_status(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (ga_pass_put_off(connection, message))
        return;
    struct ga_heap_status status;
    ga_heap_get_status(server->heap, &status);
    char socket_path[GA_SOCKET_PATH_BYTES];
    snprintf(socket_path, sizeof(socket_path), "%s", server->socket_path);
    ga_text_clean(socket_path);

    Goalloc__V1__Status body = GOALLOC__V1__STATUS__INIT;
    body.heap_name = (char *)server->world->name;
    body.server_version = (char *)GOALLOC_VERSION;
    body.server_pid = (uint32_t)getpid();
    body.uptime_ms = status.uptime_ms;
    body.heap_base = status.base;
    body.reserve_bytes = status.reserve_bytes;
    body.limit_bytes = status.limit_bytes;
    body.committed_bytes = status.committed_bytes;
    body.inuse_bytes = status.inuse_bytes;
    body.clients = status.clients;
    body.mcaches = status.mcaches;
    body.roots = status.roots;
    body.layout_version = GA_LAYOUT_VERSION;
    body.arenas_ready = status.arenas_ready;
    body.arenas_prepared = status.arenas_prepared;
    body.arenas_reserved = status.arenas_reserved;
    body.socket = socket_path;
    ga_shortage_sum(server, &body.withholding, &body.withheld_bytes);
    body.released_bytes = status.released_bytes;
    body.soft_limit_bytes = server->world->options->soft_limit_bytes;
    char scavenger[GA_SCAVENGER_TEXT_BYTES];
    ga_puncher_describe(&server->scavenger.puncher, scavenger);
    body.scavenger = scavenger;
    body.cpu_ns = cpu_ns();
    char collector[GA_TRACK_TEXT_BYTES];
    ga_track_describe(server, collector);
    body.collector = collector;
    Goalloc__V1__LoopStats loop = GOALLOC__V1__LOOP_STATS__INIT;
    loop.turns = server->turns.count;
    loop.longest_ns = server->turns.longest_ns;
    loop.longest_cpu_ns = server->turns.longest_cpu_ns;
    body.loop = &loop;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_STATUS;
    reply.status = &body;
    ga_reply(connection, message->id, &reply);
}

static void fill_span(const struct ga_span_info *info, Goalloc__V1__SpanInfo *span)
{
    goalloc__v1__span_info__init(span);
    span->page = info->page;
    span->npages = (uint32_t)info->npages;
    span->span_class = info->span_class;
    span->owner = info->owner;
    span->slots = info->slots;
    span->used = info->used;
    span->client = info->client_plus_1;
}

static void list_ages(struct ga_connection *connection, uint64_t id, uint64_t page)
{
    uint32_t ages[LIST_AGES];
    uint8_t bytes[LIST_AGES];
    struct ga_heap *heap = connection->server->heap;
    uint64_t count = ga_heap_get_ages(heap, page, LIST_AGES, ages);
    for (uint64_t i = 0; i < count; i++)
        bytes[i] = ages[i] == GA_NO_AGE ? 0 : ga_age_byte(ages[i]);
    Goalloc__V1__SpanList body = GOALLOC__V1__SPAN_LIST__INIT;
    body.ages.data = bytes;
    body.ages.len = count;
    body.next = count == LIST_AGES ? page + count : 0;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST;
    reply.span_list = &body;
    ga_reply(connection, id, &reply);
}

void ga_handle_list_spans(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (message->list_spans->ages) {
        list_ages(connection, message->id, message->list_spans->cursor);
        return;
    }
    Goalloc__V1__SpanInfo spans[LIST_SPANS];
    Goalloc__V1__SpanInfo *list[LIST_SPANS];
    Goalloc__V1__SpanList body = GOALLOC__V1__SPAN_LIST__INIT;
    body.spans = list;
    uint64_t cursor = message->list_spans->cursor;
    uint64_t end = cursor < UINT64_MAX - LOOK_PAGES ? cursor + LOOK_PAGES : UINT64_MAX;
    struct ga_span_info info;
    int r;
    while ((r = ga_heap_next_span_before(connection->server->heap, cursor, end, &info)) == 0) {
        if (body.n_spans == LIST_SPANS) {
            body.next = info.page;
            break;
        }
        size_t i = body.n_spans++;
        fill_span(&info, &spans[i]);
        list[i] = &spans[i];
        cursor = info.page + info.npages;
    }
    if (r == -EAGAIN)
        body.next = cursor > end ? cursor : end;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST;
    reply.span_list = &body;
    ga_reply(connection, message->id, &reply);
}

/* info must live as long as client, which points to its name. */
static void fill_client(struct ga_client_info *info, Goalloc__V1__ClientInfo *client)
{
    goalloc__v1__client_info__init(client);
    client->client = info->client + 1;
    client->pid = info->pid;
    client->uid = info->uid;
    client->policy = info->policy;
    client->managed = info->managed;
    client->name = info->name;
    client->mcaches = info->mcaches;
    client->spans = info->spans;
    client->leased_bytes = info->leased_bytes;
    client->mallocs = info->mallocs;
    client->frees = info->frees;
    client->attached_ms = info->attached_ms;
    client->quarantined = info->quarantined;
    client->slots = info->slots;
}

void ga_handle_list_clients(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_client_info infos[LIST_CLIENTS];
    Goalloc__V1__ClientInfo clients[LIST_CLIENTS];
    Goalloc__V1__ClientInfo *list[LIST_CLIENTS];
    Goalloc__V1__ClientList body = GOALLOC__V1__CLIENT_LIST__INIT;
    body.clients = list;
    uint64_t cursor = message->list_clients->cursor;
    struct ga_client_info info;
    while (cursor < GA_CLIENT_COUNT &&
           ga_heap_next_client(connection->server->heap, (uint32_t)cursor, &info) == 0) {
        if (body.n_clients == LIST_CLIENTS) {
            body.next = info.client;
            break;
        }
        size_t i = body.n_clients++;
        infos[i] = info;
        fill_client(&infos[i], &clients[i]);
        const struct ga_attachment *attachment =
            ga_attachment_find(connection->server, info.client);
        clients[i].paused = attachment && attachment->paused;
        enum ga_withholding what = attachment ? ga_shortage_of(attachment) : GA_WITHHOLDS_NOTHING;
        clients[i].stopped = what == GA_WITHHOLDS_STOPPED;
        clients[i].silent = what == GA_WITHHOLDS_SILENT;
        list[i] = &clients[i];
        cursor = (uint64_t)info.client + 1;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_CLIENT_LIST;
    reply.client_list = &body;
    ga_reply(connection, message->id, &reply);
}

static void fill_user(const struct ga_user_info *info, Goalloc__V1__UserInfo *user)
{
    goalloc__v1__user_info__init(user);
    user->uid = info->uid;
    user->used_bytes = info->used.of[GA_QUOTA_BYTES];
    user->used_spans = info->used.of[GA_QUOTA_SPANS];
    user->used_mcaches = info->used.of[GA_QUOTA_MCACHES];
    user->used_connections = info->used.of[GA_QUOTA_CONNECTIONS];
    user->used_roots = info->used.of[GA_QUOTA_ROOTS];
    user->used_holds = info->used.of[GA_QUOTA_HOLDS];
    user->allowed_bytes = info->allowed.of[GA_QUOTA_BYTES];
    user->allowed_spans = info->allowed.of[GA_QUOTA_SPANS];
    user->allowed_mcaches = info->allowed.of[GA_QUOTA_MCACHES];
    user->allowed_connections = info->allowed.of[GA_QUOTA_CONNECTIONS];
    user->allowed_roots = info->allowed.of[GA_QUOTA_ROOTS];
    user->allowed_holds = info->allowed.of[GA_QUOTA_HOLDS];
}

void ga_handle_list_users(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    Goalloc__V1__UserInfo users[LIST_USERS];
    Goalloc__V1__UserInfo *list[LIST_USERS];
    Goalloc__V1__UserList body = GOALLOC__V1__USER_LIST__INIT;
    body.users = list;
    uint64_t cursor = message->list_users->cursor;
    struct ga_user_info info;
    while (cursor <= UINT32_MAX &&
           ga_heap_next_user(connection->server->heap, (uint32_t)cursor, &info) == 0) {
        if (body.n_users == LIST_USERS) {
            body.next = info.index;
            break;
        }
        size_t i = body.n_users++;
        fill_user(&info, &users[i]);
        list[i] = &users[i];
        cursor = (uint64_t)info.index + 1;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_USER_LIST;
    reply.user_list = &body;
    ga_reply(connection, message->id, &reply);
}

void ga_handle_list_arenas(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    Goalloc__V1__ArenaInfo arenas[LIST_ARENAS];
    Goalloc__V1__ArenaInfo *list[LIST_ARENAS];
    Goalloc__V1__ArenaList body = GOALLOC__V1__ARENA_LIST__INIT;
    body.arenas = list;
    uint64_t cursor = message->list_arenas->cursor;
    struct ga_arena_info info;
    unsigned nready = 0;
    while (ga_heap_next_arenas(connection->server->heap, cursor, &info) == 0) {
        if (body.n_arenas == LIST_ARENAS || nready == LOOK_READY_ARENAS) {
            body.next = info.index;
            break;
        }
        size_t i = body.n_arenas++;
        goalloc__v1__arena_info__init(&arenas[i]);
        arenas[i].index = (uint32_t)info.index;
        arenas[i].count = (uint32_t)info.count;
        arenas[i].state = info.state;
        arenas[i].ready_npages = (uint32_t)info.ready_npages;
        arenas[i].inuse_npages = (uint32_t)info.inuse_npages;
        list[i] = &arenas[i];
        nready += info.state == GA_ARENA_READY;
        cursor = info.index + info.count;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_ARENA_LIST;
    reply.arena_list = &body;
    ga_reply(connection, message->id, &reply);
}
