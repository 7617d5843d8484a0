#include "server/shell/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <time.h>

#include "proto/event.h"
#include "proto/text.h"
#include "server/collect.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/server.h"

#define HELD_MAX    512u /* in a turn of the loop; the rest is lost to who watches */
#define MESSAGE_MAX 64u  /* events in one message, which then fits into a frame */
#define TEXT_BYTES  256u
/* What may wait for one who does not read, besides what the kernel takes. */
#define QUEUE_BYTES 65536u

struct ga_held_event {
    Goalloc__V1__Event event;
    char name[GA_CLIENT_NAME_BYTES];
    char text[TEXT_BYTES];
};

struct ga_watch {
    struct ga_watch *next;
    struct ga_connection *connection;
    uint64_t kinds;
    uint32_t pid;
    uint64_t lost;
};

/* From which level on the log shows a kind. */
static const enum ga_log_level levels[GA_EVENT_COUNT] = {
    [GA_EVENT_ATTACH] = GA_LOG_DEBUG,        [GA_EVENT_REATTACH] = GA_LOG_DEBUG,
    [GA_EVENT_DETACH] = GA_LOG_DEBUG,        [GA_EVENT_DEATH] = GA_LOG_DEBUG,
    [GA_EVENT_LEASE] = GA_LOG_TRACE,         [GA_EVENT_RETURN] = GA_LOG_TRACE,
    [GA_EVENT_GROW] = GA_LOG_TRACE,          [GA_EVENT_SCAVENGE] = GA_LOG_TRACE,
    [GA_EVENT_COLLECT_BEGIN] = GA_LOG_DEBUG, [GA_EVENT_COLLECT_END] = GA_LOG_DEBUG,
    [GA_EVENT_BAD_FREE] = GA_LOG_WARNING,    [GA_EVENT_COLLECT_ABANDONED] = GA_LOG_WARNING,
    [GA_EVENT_REFUSAL] = GA_LOG_INFO,        [GA_EVENT_QUARANTINE] = GA_LOG_WARNING,
};

static uint64_t bit_of(enum ga_event_kind kind)
{
    return UINT64_C(1) << kind;
}

static bool is_wanted(const struct ga_server *server, enum ga_event_kind kind)
{
    return ((server->events.watched | server->events.logged) & bit_of(kind)) != 0;
}

/* ---- who watches ---- */

static bool wants(const struct ga_watch *watch, const Goalloc__V1__Event *event)
{
    return (watch->kinds & bit_of(event->kind)) != 0 &&
           (watch->pid == 0 || watch->pid == event->pid);
}

static void hold(struct ga_events *events, const Goalloc__V1__Event *event)
{
    if (events->nheld == HELD_MAX) {
        for (struct ga_watch *watch = events->watches; watch; watch = watch->next)
            watch->lost += wants(watch, event);
        return;
    }
    struct ga_held_event *held = &events->held[events->nheld++];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    held->event = *event;
    held->event.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snprintf(held->name, sizeof(held->name), "%s", event->name);
    snprintf(held->text, sizeof(held->text), "%s", event->text);
    ga_text_clean(held->name); /* either may have been cut */
    ga_text_clean(held->text);
    held->event.name = held->name;
    held->event.text = held->text;
}

/* Send the n events at list, and how many were lost before. Who has not read what was sent before
 * loses these, too. */
static void send_events(struct ga_watch *watch, Goalloc__V1__Event **list, size_t n)
{
    if (watch->connection->queued_bytes > QUEUE_BYTES) {
        watch->lost += n;
        return;
    }
    Goalloc__V1__Events body = GOALLOC__V1__EVENTS__INIT;
    body.events = list;
    body.n_events = n;
    body.lost = watch->lost;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_EVENTS;
    note.events = &body;
    watch->lost = 0;
    ga_connection_send(watch->connection, &note); /* after which watch may be gone */
}

/* Send to one of those who watch what it wants of what is held. */
static void send_held(const struct ga_events *events, struct ga_connection *connection)
{
    Goalloc__V1__Event *list[MESSAGE_MAX];
    size_t n = 0;
    for (uint32_t i = 0; i < events->nheld && connection->watch; i++) {
        if (wants(connection->watch, &events->held[i].event))
            list[n++] = &events->held[i].event;
        if (n == MESSAGE_MAX) {
            send_events(connection->watch, list, n);
            n = 0;
        }
    }
    if (connection->watch && (n > 0 || connection->watch->lost > 0))
        send_events(connection->watch, list, n);
}

static void on_sending(uv_prepare_t *sending)
{
    struct ga_server *server = sending->data;
    struct ga_events *events = &server->events;
    for (struct ga_connection *c = server->connections; c; c = c->next)
        if (c->watch)
            send_held(events, c);
    events->nheld = 0;
}

static void count_watched(struct ga_server *server)
{
    struct ga_events *events = &server->events;
    events->watched = 0;
    for (const struct ga_watch *watch = events->watches; watch; watch = watch->next)
        events->watched |= watch->kinds;
    if (events->watched == 0)
        uv_prepare_stop(&events->sending);
    else if (!server->ending)
        uv_prepare_start(&events->sending, on_sending);
}

int ga_events_watch(struct ga_connection *connection, uint64_t kinds, uint32_t pid)
{
    struct ga_server *server = connection->server;
    struct ga_events *events = &server->events;
    if (!events->held)
        events->held = malloc(HELD_MAX * sizeof(*events->held));
    if (!connection->watch && events->held) {
        connection->watch = calloc(1, sizeof(*connection->watch));
        if (connection->watch) {
            connection->watch->connection = connection;
            connection->watch->next = events->watches;
            events->watches = connection->watch;
        }
    }
    if (!connection->watch)
        return -ENOMEM;
    connection->watch->kinds = kinds & GA_EVENTS_ALL;
    connection->watch->pid = pid;
    count_watched(server);
    ga_server_left(server); /* who only watches keeps no private server */
    return 0;
}

void ga_events_forget(struct ga_connection *connection)
{
    struct ga_server *server = connection->server;
    struct ga_watch **link = &server->events.watches;
    if (!connection->watch)
        return;
    while (*link != connection->watch)
        link = &(*link)->next;
    *link = connection->watch->next;
    free(connection->watch);
    connection->watch = NULL;
    count_watched(server);
}

int ga_events_init(struct ga_server *server)
{
    struct ga_events *events = &server->events;
    for (unsigned kind = 0; kind < GA_EVENT_COUNT; kind++)
        if (ga_log_shows(levels[kind]))
            events->logged |= bit_of((enum ga_event_kind)kind);
    events->sending.data = server;
    return uv_prepare_init(&server->loop, &events->sending);
}

void ga_events_close(struct ga_server *server)
{
    on_sending(&server->events.sending);
    uv_close((uv_handle_t *)&server->events.sending, NULL);
}

/* ---- what happens ---- */

static void tell(struct ga_server *server, const Goalloc__V1__Event *event,
                 struct ga_log_limit *limit)
{
    struct ga_events *events = &server->events;
    if ((events->logged & bit_of(event->kind)) != 0 &&
        (!limit || ga_log_limit_allows(limit, ga_world_now_ms())))
        ga_log_event(levels[event->kind], event);
    if ((events->watched & bit_of(event->kind)) != 0)
        hold(events, event);
}

/* An event of kind, of a client. */
static Goalloc__V1__Event of_client(enum ga_event_kind kind, const struct ga_attachment *attachment)
{
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = kind;
    event.client = attachment->client + 1;
    event.pid = attachment->pid;
    event.uid = attachment->uid;
    event.name = (char *)(uintptr_t)attachment->name; /* only read, as the texts below */
    return event;
}

static void tell_of_client(enum ga_event_kind kind, const struct ga_attachment *attachment)
{
    if (!is_wanted(attachment->server, kind))
        return;
    Goalloc__V1__Event event = of_client(kind, attachment);
    tell(attachment->server, &event, NULL);
}

void ga_event_attach(const struct ga_attachment *a)
{
    DTRACE_PROBE4(goallocd, attach, a->client + 1, a->pid, a->name, a->uid);
    tell_of_client(GA_EVENT_ATTACH, a);
}

void ga_event_reattach(const struct ga_attachment *a)
{
    DTRACE_PROBE3(goallocd, reattach, a->client + 1, a->pid, a->name);
    tell_of_client(GA_EVENT_REATTACH, a);
}

void ga_event_detach(const struct ga_attachment *a)
{
    DTRACE_PROBE3(goallocd, detach, a->client + 1, a->pid, a->name);
    tell_of_client(GA_EVENT_DETACH, a);
}

void ga_event_death(const struct ga_attachment *a)
{
    DTRACE_PROBE3(goallocd, death, a->client + 1, a->pid, a->name);
    tell_of_client(GA_EVENT_DEATH, a);
}

void ga_event_lease(const struct ga_attachment *a, uint32_t mcache, uint32_t span_class,
                    uint64_t nspans, uint64_t bytes)
{
    DTRACE_PROBE6(goallocd, lease, a->client + 1, a->pid, mcache, span_class, nspans, bytes);
    if (!is_wanted(a->server, GA_EVENT_LEASE))
        return;
    Goalloc__V1__Event event = of_client(GA_EVENT_LEASE, a);
    event.mcache = mcache;
    event.span_class = span_class;
    event.count = nspans;
    event.bytes = bytes;
    tell(a->server, &event, NULL);
}

void ga_event_return(const struct ga_attachment *a, uint32_t mcache, uint64_t nspans)
{
    DTRACE_PROBE4(goallocd, return, a->client + 1, a->pid, mcache, nspans);
    if (!is_wanted(a->server, GA_EVENT_RETURN))
        return;
    Goalloc__V1__Event event = of_client(GA_EVENT_RETURN, a);
    event.mcache = mcache;
    event.count = nspans;
    tell(a->server, &event, NULL);
}

static void tell_of_heap(struct ga_server *server, enum ga_event_kind kind, uint64_t bytes,
                         uint64_t total_bytes)
{
    if (!is_wanted(server, kind))
        return;
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = kind;
    event.bytes = bytes;
    event.total_bytes = total_bytes;
    tell(server, &event, NULL);
}

void ga_event_grow(struct ga_server *server, uint64_t bytes)
{
    uint64_t extent_bytes = ga_heap_extent_bytes(server->heap);
    DTRACE_PROBE2(goallocd, grow, bytes, extent_bytes);
    tell_of_heap(server, GA_EVENT_GROW, bytes, extent_bytes);
}

void ga_event_scavenge(struct ga_server *server, uint64_t bytes)
{
    uint64_t without_bytes =
        ga_heap_extent_bytes(server->heap) - ga_heap_committed_bytes(server->heap, GA_OBJECT_HEAP);
    DTRACE_PROBE2(goallocd, scavenge, bytes, without_bytes);
    tell_of_heap(server, GA_EVENT_SCAVENGE, bytes, without_bytes);
}

static const char *mode_name(enum ga_collect_mode mode)
{
    return mode == GA_COLLECT_REPORT    ? "it only counts"
           : mode == GA_COLLECT_ORPHANS ? "what clients that are gone have left"
                                        : "of what managed clients have, too";
}

void ga_event_collect_begin(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    DTRACE_PROBE2(goallocd, collect_begin, cycle->number, (int)cycle->mode);
    if (!is_wanted(server, GA_EVENT_COLLECT_BEGIN))
        return;
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = GA_EVENT_COLLECT_BEGIN;
    event.cycle = cycle->number;
    event.text = (char *)(uintptr_t)mode_name(cycle->mode);
    tell(server, &event, NULL);
}

void ga_event_collect_end(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    const struct ga_collect_result *result = ga_collect_get_result(server->heap);
    DTRACE_PROBE4(goallocd, collect_end, cycle->number, result->freed.objects, result->freed.bytes,
                  cycle->mark_ns);
    if (!is_wanted(server, GA_EVENT_COLLECT_END))
        return;
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = GA_EVENT_COLLECT_END;
    event.cycle = cycle->number;
    event.count = result->freed.objects;
    event.bytes = result->freed.bytes;
    event.duration_ns = cycle->mark_ns;
    tell(server, &event, NULL);
}

void ga_event_collect_abandoned(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    DTRACE_PROBE2(goallocd, collect_abandoned, cycle->number, cycle->failure);
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = GA_EVENT_COLLECT_ABANDONED;
    event.cycle = cycle->number;
    event.text = (char *)(uintptr_t)cycle->failure;
    tell(server, &event, NULL);
}

void ga_event_bad_free(const struct ga_attachment *a, uint64_t address, const char *what,
                       uint64_t count)
{
    DTRACE_PROBE5(goallocd, bad_free, a->client + 1, a->pid, address, what, count);
    Goalloc__V1__Event event = of_client(GA_EVENT_BAD_FREE, a);
    event.address = address;
    event.text = (char *)(uintptr_t)what;
    event.count = count;
    tell(a->server, &event, &a->server->events.bad_frees);
}

void ga_event_refusal(const struct ga_connection *connection, const char *why)
{
    struct ga_server *server = connection->server;
    const struct ga_peer *peer = &connection->peer;
    uint32_t client = connection->attachment ? connection->attachment->client + 1 : 0;
    DTRACE_PROBE4(goallocd, refusal, client, peer->pid, peer->uid, why);
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = GA_EVENT_REFUSAL;
    event.client = client;
    event.pid = peer->pid;
    event.uid = peer->uid;
    event.name = (char *)(uintptr_t)connection->client_name;
    event.text = (char *)(uintptr_t)why;
    tell(server, &event, &server->events.refusals);
}

void ga_event_quarantine(const struct ga_attachment *a, const char *deed)
{
    DTRACE_PROBE4(goallocd, quarantine, a->client + 1, a->pid, a->uid, deed);
    Goalloc__V1__Event event = of_client(GA_EVENT_QUARANTINE, a);
    event.text = (char *)(uintptr_t)deed;
    tell(a->server, &event, &a->server->events.quarantines);
}
