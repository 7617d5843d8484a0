/* Messages by which spans are had and given back. Arguments are checked here where a sentence can
 * say what is wrong with them; the core checks them again, as it believes nobody. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/events.h"
#include "server/shell/log.h"
#include "server/shell/quarantine.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"
#include "server/shell/size_text.h"
#include "server/shell/spoilt.h"
#include "shm/size_class.h"

#define RELIEF_INTERVAL_MS 100u
#define REFUSAL_BYTES      256

/* Answer that something is not to be had, and tell who watches. */
static void refuse(struct ga_connection *connection, uint64_t id, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void refuse(struct ga_connection *connection, uint64_t id, int err, const char *format, ...)
{
    char why[REFUSAL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    ga_event_refusal(connection, why);
    ga_reply_failure(connection, id, err, "%s", why);
}

void ga_fail_for_memory(struct ga_connection *connection, uint64_t id)
{
    const struct ga_world *world = connection->server->world;
    char limit[GA_SIZE_TEXT_BYTES];
    if (world->refused_memory)
        refuse(connection, id, -ENOMEM, "no memory is left in /dev/shm");
    else
        refuse(connection, id, -ENOMEM, "the heap is at its limit of %s",
               ga_size_format(world->limit_bytes, limit));
}

void ga_fail_for_quota(struct ga_connection *connection, uint64_t id)
{
    struct ga_quota_refusal refusal = ga_heap_last_refusal(connection->server->heap);
    const char *kind = ga_quota_kind_name(refusal.kind);
    if (refusal.of_client)
        refuse(connection, id, -EDQUOT, "the quota of the client is used up: %s=%" PRIu64, kind,
               refusal.allowed);
    else
        refuse(connection, id, -EDQUOT, "the quota of user %" PRIu32 " is used up: %s=%" PRIu64,
               connection->peer.uid, kind, refusal.allowed);
}

/* The same, and have the user's processes give back what they do not use; not too often, since who
 * has used up a quota may go on asking. */
static void fail_for_spans(struct ga_connection *connection, uint64_t id)
{
    ga_fail_for_quota(connection, id);
    uint64_t now_ms = ga_world_now_ms();
    if (now_ms - connection->relief_asked_ms < RELIEF_INTERVAL_MS)
        return;
    connection->relief_asked_ms = now_ms;
    ga_shortage_call_user(connection->server, connection->peer.uid);
}

/* ---- spans ---- */

/* Somebody else's id is no slip: a client knows its own only from the server. */
static void fail_mcache(struct ga_connection *connection, uint64_t id, uint32_t mcache)
{
    ga_reply_failure(connection, id, -EPERM, "mcache %" PRIu32 " is not the client's", mcache);
    ga_quarantine(connection->attachment, "it asked for memory for mcache %" PRIu32, mcache);
}

static bool lease_is_sound(struct ga_connection *connection, uint64_t id,
                           const Goalloc__V1__Lease *lease)
{
    if (lease->span_class < 2 || lease->span_class >= GA_SPAN_CLASS_COUNT)
        ga_reply_failure(connection, id, -EINVAL, "span class %" PRIu32 " is not in 2..%u",
                         lease->span_class, GA_SPAN_CLASS_COUNT - 1);
    else if (lease->count == 0 || lease->count > GA_LEASE_MAX)
        ga_reply_failure(connection, id, -EINVAL, "a count of %" PRIu32 " is not in 1..%u",
                         lease->count, GA_LEASE_MAX);
    else
        return true;
    return false;
}

/* A request for spans has been answered. last_ns is the client's, and only shown. Of one that has
 * waited for a collection the client alone knows how long it took. */
static void note_time(const struct ga_connection *connection, uint64_t nspans, uint64_t last_ns)
{
    struct ga_lease_times *leases = &connection->server->leases;
    leases->requests++;
    leases->spans += nspans;
    if (!connection->after_collection && !connection->after_current && !connection->after_pass)
        ga_latency_add(&leases->served, uv_hrtime() - connection->read_ns);
    if (last_ns > 0)
        ga_latency_add(&leases->waited, last_ns);
}

static uint64_t span_bytes(uint32_t span_class)
{
    return (uint64_t)ga_size_classes[span_class / 2].npages * GA_PAGE_SIZE;
}

void ga_handle_lease(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__Lease *lease = message->lease;
    if (!lease_is_sound(connection, message->id, lease))
        return;
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    server->world->refused_memory = false;
    int r = ga_heap_lease(server->heap, connection->attachment->client, lease->mcache,
                          (ga_span_class)lease->span_class, lease->count, pages, &count);
    if (ga_cycle_put_off(connection, message, r))
        return;
    if (r == -ENOMEM) {
        ga_fail_for_memory(connection, message->id);
        return;
    }
    if (r == -EDQUOT) {
        fail_for_spans(connection, message->id);
        return;
    }
    if (r < 0) {
        fail_mcache(connection, message->id, lease->mcache);
        return;
    }
    ga_event_lease(connection->attachment, lease->mcache, lease->span_class, count,
                   count * span_bytes(lease->span_class));
    Goalloc__V1__Leases body = GOALLOC__V1__LEASES__INIT;
    body.n_pages = count;
    body.pages = pages;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_LEASES;
    reply.leases = &body;
    ga_reply(connection, message->id, &reply);
    note_time(connection, count, lease->last_ns);
}

/* What there is no memory for is left out: the client asks again, and waits, when it needs it. */
void ga_handle_lease_ahead(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__LeaseAhead *note = message->lease_ahead;
    server->world->refused_memory = false;
    uint64_t nleased = ga_heap_nleased(server->heap);
    int r = note->span_class < GA_SPAN_CLASS_COUNT
                ? ga_heap_lease_ahead(server->heap, connection->attachment->client, note->mcache,
                                      (ga_span_class)note->span_class, note->count)
                : -EINVAL;
    /* Less, where it had to take back what somebody who has gone had leased. */
    uint64_t nleased_now = ga_heap_nleased(server->heap);
    nleased = nleased_now > nleased ? nleased_now - nleased : 0;
    server->leases.spans += nleased;
    if (nleased > 0)
        ga_event_lease(connection->attachment, note->mcache, note->span_class, nleased,
                       nleased * span_bytes(note->span_class));
    if (r == -EBADMSG)
        ga_spoilt_look_at(connection->attachment); /* the client can still ask, and wait */
    else if (r < 0 && r != -ENOMEM && r != -EDQUOT)
        ga_quarantine(connection->attachment,
                      "it asked for %" PRIu32 " spans of class %" PRIu32 " for mcache %" PRIu32,
                      note->count, note->span_class, note->mcache);
}

/* Whether a note keeps to the protocol's limit of pages (proto/README.md). */
static bool note_is_sound(struct ga_connection *connection, size_t npages)
{
    if (npages <= GA_RETURN_MAX_PAGES)
        return true;
    ga_quarantine(connection->attachment, "it sent a note of %zu pages, and the most is %u", npages,
                  GA_RETURN_MAX_PAGES);
    return false;
}

static const char *why_not_returned(int err)
{
    return err == -EAGAIN ? "its holder word does not say so" : "it is not leased to the mcache";
}

void ga_handle_return(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__Return *note = message->return_spans;
    ga_client_id client = connection->attachment->client;
    if (!note_is_sound(connection, note->n_pages))
        return;
    uint64_t nreturned = 0;
    for (size_t i = 0; i < note->n_pages; i++) {
        int r = ga_heap_return(server->heap, client, note->mcache, note->pages[i]);
        if (r == -EPERM) {
            ga_quarantine(connection->attachment, "it returned spans of mcache %" PRIu32,
                          note->mcache);
            return;
        }
        /* What one that came back had returned was looked up, and its note may come after that. */
        if (r < 0 && !connection->came_back &&
            ga_log_limit_allows(&server->bad_notes, ga_world_now_ms()))
            ga_log(GA_LOG_WARNING,
                   "process %" PRIu32 " says that mcache %" PRIu32 " returned page %" PRIu32
                   ", but %s: ignored",
                   connection->peer.pid, note->mcache, note->pages[i], why_not_returned(r));
        nreturned += r == 0;
    }
    if (nreturned > 0)
        ga_event_return(connection->attachment, note->mcache, nreturned);
}

/* There is memory enough, but no run of it, and no room to grow: the program learns ENOMEM, and who
 * runs the server that it is no lack of memory. */
static void tell_of_fragments(const struct ga_connection *connection, uint64_t wanted_bytes,
                              uint64_t left_bytes)
{
    if (ga_log_limit_allows(&connection->server->fragments, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING,
               "the heap is too fragmented for %" PRIu64 " bytes that client %" PRIu32
               " ('%s', pid %" PRIu32 ") asks for: %" PRIu64
               " are left, but not in one piece; a larger --reserve would let it grow",
               wanted_bytes, connection->attachment->client + 1, connection->client_name,
               connection->attachment->pid, left_bytes);
}

/* Page 0 is never handed out, so that a heap has a page less than its limit. */
static void fail_for_room(struct ga_connection *connection, uint64_t id, uint64_t wanted_bytes)
{
    struct ga_heap_status status;
    ga_heap_get_status(connection->server->heap, &status);
    uint64_t left_bytes = status.limit_bytes - GA_PAGE_SIZE - status.inuse_bytes;
    bool in_pieces = left_bytes >= wanted_bytes;
    char limit[GA_SIZE_TEXT_BYTES];
    refuse(connection, id, -ENOMEM,
           "%" PRIu64 " bytes do not fit: %" PRIu64 " are left of the limit of %s%s", wanted_bytes,
           left_bytes, ga_size_format(status.limit_bytes, limit),
           in_pieces ? ", but not in one piece" : "");
    if (in_pieces)
        tell_of_fragments(connection, wanted_bytes, left_bytes);
}

static void fail_large(struct ga_connection *connection, uint64_t id, int err,
                       const Goalloc__V1__LargeAlloc *wanted)
{
    uint64_t limit_bytes = connection->server->world->limit_bytes;
    char limit[GA_SIZE_TEXT_BYTES];
    if (err == -EDQUOT)
        fail_for_spans(connection, id);
    else if (err == -EPERM)
        fail_mcache(connection, id, wanted->mcache);
    else if (err == -EINVAL && (wanted->alignment > GA_ALIGNMENT_MAX ||
                                (wanted->alignment & (wanted->alignment - 1)) != 0))
        ga_reply_failure(connection, id, err,
                         "an alignment of %" PRIu64 " is no power of two up to %" PRIu64,
                         wanted->alignment, GA_ALIGNMENT_MAX);
    else if (err == -EINVAL)
        ga_reply_failure(connection, id, err,
                         "%" PRIu64 " bytes are no large object: those have more than %u",
                         wanted->size_bytes, (unsigned)GA_SMALL_MAX);
    else if (wanted->size_bytes > limit_bytes)
        refuse(connection, id, err, "%" PRIu64 " bytes are more than the heap's limit of %s",
               wanted->size_bytes, ga_size_format(limit_bytes, limit));
    else if (connection->server->world->refused_memory)
        ga_fail_for_memory(connection, id);
    else
        fail_for_room(connection, id, wanted->size_bytes);
}

void ga_handle_large_alloc(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__LargeAlloc *wanted = message->large_alloc;
    ga_page_id page;
    bool zeroed;
    server->world->refused_memory = false;
    if (ga_cycle_comes_first(connection, message))
        return;
    uint64_t before_bytes = ga_heap_managed_bytes(server->heap);
    int r =
        ga_heap_large_alloc(server->heap, connection->attachment->client, wanted->mcache,
                            wanted->size_bytes, wanted->alignment, wanted->noscan, &page, &zeroed);
    if (ga_cycle_put_off(connection, message, r))
        return;
    if (r < 0) {
        fail_large(connection, message->id, r, wanted);
        return;
    }
    ga_cycle_note_large(server, before_bytes);
    ga_event_lease(connection->attachment, wanted->mcache, wanted->noscan ? 1 : 0, 1,
                   wanted->size_bytes);
    Goalloc__V1__LargeSpan body = GOALLOC__V1__LARGE_SPAN__INIT;
    body.page = page;
    body.zeroed = zeroed;
    body.mcache = wanted->mcache;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN;
    reply.large_span = &body;
    ga_reply(connection, message->id, &reply);
    note_time(connection, 1, wanted->last_ns);
}

void ga_handle_large_resize(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__LargeResize *wanted = message->large_resize;
    server->world->refused_memory = false;
    int r = ga_heap_large_resize(server->heap, connection->attachment->client, wanted->page,
                                 wanted->size_bytes);
    if (r == 0)
        ga_reply_done(connection, message->id);
    else if (r == -ENOMEM)
        ga_reply_failure(connection, message->id, r,
                         "the pages that follow page %" PRIu32 " are not free", wanted->page);
    else if (r == -EDQUOT)
        ga_fail_for_quota(connection, message->id);
    else if (r == -EBUSY)
        ga_reply_failure(connection, message->id, r,
                         "the object at page %" PRIu32 " is held, and stays as long as it is",
                         wanted->page);
    else
        ga_reply_failure(connection, message->id, r,
                         "no large object in use begins at page %" PRIu32 ", or %" PRIu64
                         " bytes are none",
                         wanted->page, wanted->size_bytes);
}

/* The pages say only where to look: the free itself has set the pending bits, and those decide. Not
 * while the heap is copied: then a pass of the timer finds them. */
void ga_handle_large_free(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const Goalloc__V1__LargeFree *note = message->large_free;
    if (!note_is_sound(connection, note->n_pages) || ga_quiet_is_on(server))
        return;
    for (size_t i = 0; i < note->n_pages; i++)
        ga_heap_sweep_page(server->heap, note->pages[i]);
}

void ga_handle_reclaimed(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (message->reclaimed->unneeded)
        ga_shortage_looked(connection->attachment);
    else
        ga_shortage_answered(connection->attachment, message->reclaimed->call);
}

void ga_handle_sync(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (!message->sync->unswept && ga_pass_put_off(connection, message))
        return;
    ga_reply_done(connection, message->id);
}
