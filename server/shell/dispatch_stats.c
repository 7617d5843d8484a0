/* Messages that ask for counts: of the heap, and of one client. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* A ClientStats message and what it points to. */
struct client_message {
    struct ga_client_stats stats;
    Goalloc__V1__ClientStats body;
    Goalloc__V1__ClientClassStats classes[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__ClientClassStats *list[GA_SIZE_CLASS_COUNT];
};

static void add_client_class(struct client_message *to, uint32_t c)
{
    const struct ga_counters *counters = &to->stats.counters;
    Goalloc__V1__ClientClassStats class = GOALLOC__V1__CLIENT_CLASS_STATS__INIT;
    class.size_class = c;
    class.mallocs = counters->mallocs[c];
    class.frees = counters->frees[c];
    class.alloc_bytes = ga_counters_alloc_bytes(counters, c);
    class.free_bytes = ga_counters_free_bytes(counters, c);
    class.leased_spans = to->stats.spans_by_class[c];
    to->body.alloc_bytes += class.alloc_bytes;
    to->body.free_bytes += class.free_bytes;
    if (class.mallocs == 0 && class.frees == 0 && class.leased_spans == 0)
        return;
    size_t i = to->body.n_by_class++;
    to->classes[i] = class;
    to->list[i] = &to->classes[i];
}

/* 0; -ENOENT where no such client is attached. */
static int fill_client(struct ga_server *server, ga_client_id client, struct client_message *ret)
{
    int r = ga_heap_get_client_stats(server->heap, client, &ret->stats);
    if (r < 0)
        return r;
    struct ga_client_info *info = &ret->stats.info;
    goalloc__v1__client_stats__init(&ret->body);
    ret->body.client = info->client + 1;
    ret->body.pid = info->pid;
    ret->body.name = info->name;
    ret->body.mallocs = info->mallocs;
    ret->body.frees = info->frees;
    ret->body.mcaches = info->mcaches;
    ret->body.leased_spans = info->spans;
    ret->body.leased_bytes = info->leased_bytes;
    ret->body.by_class = ret->list;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        add_client_class(ret, c);
    return 0;
}

void ga_handle_get_client_stats(struct ga_connection *connection,
                                const Goalloc__V1__Envelope *message)
{
    uint32_t number = message->get_client_stats->client;
    struct client_message client;
    int r = number ? fill_client(connection->server, number - 1, &client) : -ENOENT;
    if (r < 0) {
        ga_reply_failure(connection, message->id, r, "no client %" PRIu32 " is attached", number);
        return;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_CLIENT_STATS;
    reply.client_stats = &client.body;
    ga_reply(connection, message->id, &reply);
}

static void fill_heap(const struct ga_heap_stats *stats, Goalloc__V1__Stats *body)
{
    goalloc__v1__stats__init(body);
    body->alloc_bytes = stats->alloc_bytes;
    body->total_alloc_bytes = stats->total_alloc_bytes;
    body->sys_bytes = stats->sys_bytes;
    body->mallocs = stats->mallocs;
    body->frees = stats->frees;
    body->heap_objects = stats->heap_objects;
    body->heap_sys_bytes = stats->heap_sys_bytes;
    body->heap_idle_bytes = stats->heap_idle_bytes;
    body->heap_inuse_bytes = stats->heap_inuse_bytes;
    body->heap_released_bytes = stats->heap_released_bytes;
    body->meta_bytes = stats->meta_bytes;
    body->bits_bytes = stats->bits_bytes;
    body->spans_inuse = stats->spans_inuse;
    body->spans_leased = stats->spans_leased;
    body->leased_bytes = stats->leased_bytes;
    body->mspan_inuse_bytes = stats->mspan_inuse_bytes;
    body->mspan_sys_bytes = stats->mspan_sys_bytes;
    body->mcache_inuse_bytes = stats->mcache_inuse_bytes;
    body->mcache_sys_bytes = stats->mcache_sys_bytes;
    body->other_sys_bytes = stats->other_sys_bytes;
}

static void fill_cycles(const struct ga_cycle *cycle, Goalloc__V1__CycleStats *stats)
{
    goalloc__v1__cycle_stats__init(stats);
    stats->count = cycle->nfull;
    stats->next_bytes = cycle->percent ? cycle->next_bytes : 0;
    stats->last_end_ms = cycle->full_end_wall_ms;
    stats->pause_ns = cycle->pause_ns;
    stats->pause_total_ns = cycle->pause_total_ns;
}

static void fill_leases(struct ga_lease_times *times, Goalloc__V1__LeaseStats *leases)
{
    goalloc__v1__lease_stats__init(leases);
    leases->requests = times->requests;
    leases->spans = times->spans;
    leases->n_served = leases->n_waited = GA_LATENCY_COUNTS;
    leases->served = times->served.count;
    leases->waited = times->waited.count;
}

void ga_handle_get_stats(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (ga_pass_put_off(connection, message))
        return;
    struct ga_heap_stats stats;
    ga_heap_get_stats(connection->server->heap, &stats);
    Goalloc__V1__ClassStats classes[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__ClassStats *list[GA_SIZE_CLASS_COUNT];
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        goalloc__v1__class_stats__init(&classes[c]);
        classes[c].size_class = c;
        classes[c].size_bytes = c == 0 ? 0 : ga_size_classes[c].size;
        classes[c].mallocs = stats.by_class[c].mallocs;
        classes[c].frees = stats.by_class[c].frees;
        classes[c].spans = stats.by_class[c].spans;
        classes[c].alloc_bytes = stats.by_class[c].alloc_bytes;
        list[c] = &classes[c];
    }
    Goalloc__V1__Stats body;
    fill_heap(&stats, &body);
    body.n_by_class = GA_SIZE_CLASS_COUNT;
    body.by_class = list;
    Goalloc__V1__CycleStats cycles;
    fill_cycles(&connection->server->cycle, &cycles);
    body.cycles = &cycles;
    Goalloc__V1__LeaseStats leases;
    fill_leases(&connection->server->leases, &leases);
    body.leases = &leases;
    struct client_message own;
    if (connection->attachment &&
        fill_client(connection->server, connection->attachment->client, &own) == 0)
        body.own = &own.body;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_STATS;
    reply.stats = &body;
    ga_reply(connection, message->id, &reply);
}
