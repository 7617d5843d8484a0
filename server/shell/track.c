#include "server/shell/track.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/cycle.h"
#include "server/shell/options.h"
#include "server/shell/server.h"
#include "shm/process.h"

/* For the answers: at the beginning threads are stopped, and memory is looked through, which may
 * take longer as long as it goes on, but not for ever; last somebody stands still meanwhile. */
#define BEGIN_MS 5000u
#define TOTAL_MS 60000u
#define AGAIN_MS 2000u
#define LAST_MS  1000u

#define ROOTS_MIN 65536u

enum step { BEGIN = 0, AGAIN = 1, LAST = 2 };

/* What was written is not known: why. The first reason stays. */
static void spoil(struct ga_server *server, const struct ga_client_info *info, const char *what)
{
    struct ga_track *track = &server->track;
    if (track->why[0])
        return;
    snprintf(track->why, sizeof(track->why), "process %" PRIu32 " (%s): %s", info->pid, info->name,
             what);
    ga_text_clean(track->why); /* it may have been cut */
}

static void spoil_by(const struct ga_attachment *attachment, const char *what)
{
    struct ga_client_info info;
    if (ga_heap_next_client(attachment->server->heap, attachment->client, &info) < 0 ||
        info.client != attachment->client)
        info = (struct ga_client_info){.pid = attachment->pid};
    spoil(attachment->server, &info, what);
}

/* ---- asking ---- */

/* What keeps a client from being asked; NULL = nothing. */
static const char *why_not(const struct ga_attachment *attachment)
{
    if (!attachment || !attachment->connection || attachment->connection->closing)
        return "it has no connection to the server";
    if (attachment->quarantined)
        return "it is in quarantine";
    if (!attachment->settled)
        return "it is just attaching"; /* an answer would say that it is done with that */
    if (!attachment->tracks)
        return "it cannot tell what it writes";
    return ga_process_is_stopped(attachment->pid) ? "it is stopped by a signal, or a debugger"
                                                  : NULL;
}

static void ask(struct ga_attachment *attachment, enum step step)
{
    struct ga_track *track = &attachment->server->track;
    Goalloc__V1__GcTrack body = GOALLOC__V1__GC_TRACK__INIT;
    body.cycle = track->number;
    body.step = step;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_TRACK;
    note.gc_track = &body;
    attachment->tracking = GA_TRACKING_ASKED;
    track->nwaiting++;
    ga_connection_send(attachment->connection, &note);
}

/* What they answer from now on comes too late. */
static void wait_no_more(struct ga_server *server)
{
    for (struct ga_attachment *a = server->attachments; a; a = a->next)
        if (a->tracking == GA_TRACKING_ASKED)
            a->tracking = GA_TRACKING_NOT;
    server->track.nwaiting = 0;
}

static void on_limit(uv_timer_t *limit)
{
    struct ga_server *server = limit->data;
    for (struct ga_attachment *a = server->attachments; a; a = a->next)
        if (a->tracking == GA_TRACKING_ASKED)
            spoil_by(a, ga_process_is_stopped(a->pid) ? "it is stopped by a signal, or a debugger"
                                                      : "it does not answer");
    wait_no_more(server);
    ga_cycle_tracked(server);
}

/* Ask all who do not stand still, or nobody. */
static void ask_all(struct ga_server *server, enum step step, uint64_t limit_ms)
{
    struct ga_track *track = &server->track;
    struct ga_client_info info;
    track->nwaiting = 0;
    if (step == BEGIN)
        ga_attachment_end_replaced(server);
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        const struct ga_attachment *attachment = ga_attachment_find(server, info.client);
        bool stands = attachment && attachment->standing != GA_STANDING_NOT;
        const char *why = stands ? NULL : why_not(attachment);
        if (why)
            spoil(server, &info, why);
    }
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        struct ga_attachment *attachment = ga_attachment_find(server, info.client);
        /* Who cannot be sent a note is lost. */
        if (attachment && !track->why[0] && attachment->standing == GA_STANDING_NOT)
            ask(attachment, step);
    }
    if (track->why[0])
        wait_no_more(server);
    uv_timer_start(&track->limit, on_limit, track->nwaiting > 0 ? limit_ms : 0, 0);
}

bool ga_track_begin(struct ga_server *server)
{
    struct ga_track *track = &server->track;
    struct ga_heap_status status;
    track->why[0] = '\0';
    track->on = true;
    track->nroots = track->nwords = 0;
    track->stood_ns = 0;
    track->number++;
    track->began_ns = uv_hrtime();
    ga_heap_get_status(server->heap, &status);
    track->room = status.reserve_bytes / GA_OS_PAGE_SIZE / 64;
    track->written = calloc(track->room, sizeof(*track->written));
    if (!track->written)
        snprintf(track->why, sizeof(track->why),
                 "the server has no memory to note what is written");
    else if (server->world->options->gc_stops)
        snprintf(track->why, sizeof(track->why), "the server was started with --gc-mode stop");
    else
        ask_all(server, BEGIN, BEGIN_MS);
    if (track->why[0])
        uv_timer_stop(&track->limit);
    return !track->why[0];
}

void ga_track_again(struct ga_server *server)
{
    ask_all(server, AGAIN, AGAIN_MS);
}

bool ga_track_last(struct ga_server *server)
{
    struct ga_track *track = &server->track;
    ask_all(server, LAST, LAST_MS);
    if (track->why[0] || track->nwaiting == 0) {
        uv_timer_stop(&track->limit);
        return true;
    }
    return false;
}

bool ga_track_is_known(const struct ga_server *server)
{
    return server->track.on && !server->track.why[0];
}

/* ---- answers ---- */

static bool is_expected(const struct ga_connection *connection, uint32_t cycle)
{
    const struct ga_track *track = &connection->server->track;
    const struct ga_attachment *attachment = connection->attachment;
    return track->on && cycle == track->number &&
           (attachment->tracking == GA_TRACKING_ASKED || attachment->standing == GA_STANDING_ASKED);
}

bool ga_track_takes_roots(const struct ga_connection *connection, const Goalloc__V1__GcRoots *note)
{
    struct ga_track *track = &connection->server->track;
    if (!is_expected(connection, note->cycle) ||
        connection->attachment->tracking != GA_TRACKING_ASKED)
        return false;
    /* It goes on. */
    uint64_t ms = (uv_hrtime() - track->began_ns) / 1000000;
    uint64_t left_ms = ms < TOTAL_MS ? TOTAL_MS - ms : 0;
    uv_timer_start(&track->limit, on_limit, left_ms < BEGIN_MS ? left_ms : BEGIN_MS, 0);
    if (note->n_offsets == 0)
        return true;
    uint64_t more = track->nroots + note->n_offsets;
    if (more > track->roots_room) {
        uint64_t room = more * 2;
        uint64_t *grown = room <= ROOTS_MIN + track->room * 512
                              ? realloc(track->roots, room * sizeof(*grown))
                              : NULL;
        if (!grown)
            return true; /* nothing hangs on them */
        track->roots = grown;
        track->roots_room = room;
    }
    memcpy(track->roots + track->nroots, note->offsets, note->n_offsets * sizeof(*note->offsets));
    track->nroots = more;
    return true;
}

void ga_track_written(struct ga_connection *connection, const Goalloc__V1__GcWritten *note)
{
    struct ga_track *track = &connection->server->track;
    if (!is_expected(connection, note->cycle))
        return;
    for (size_t i = 0; i < note->bits.len; i++) {
        uint64_t page = note->first + i * 8;
        if (page % 8 != 0 || page / 64 >= track->room)
            return; /* what no client says: it spoils what it could spoil anyway */
        track->written[page / 64] |= (uint64_t)note->bits.data[i] << page % 64;
        if (track->nwords <= page / 64)
            track->nwords = page / 64 + 1;
    }
}

void ga_track_tracked(struct ga_connection *connection, const Goalloc__V1__GcTracked *note)
{
    struct ga_server *server = connection->server;
    struct ga_track *track = &server->track;
    struct ga_attachment *attachment = connection->attachment;
    if (!is_expected(connection, note->cycle))
        return;
    if (note->failure[0])
        spoil_by(attachment, note->failure);
    if (attachment->tracking != GA_TRACKING_ASKED)
        return; /* it was asked to stand still, and answers that, too */
    attachment->tracking = GA_TRACKING_TOLD;
    if (note->stood_ns > track->stood_ns)
        track->stood_ns = note->stood_ns;
    if (track->nwaiting > 0 && --track->nwaiting == 0) {
        uv_timer_stop(&track->limit);
        ga_cycle_tracked(server);
    }
}

void ga_track_joined(struct ga_attachment *attachment)
{
    if (attachment->server->track.on)
        spoil_by(attachment, "it has attached meanwhile");
}

void ga_track_lost(struct ga_attachment *attachment, const char *how)
{
    struct ga_server *server = attachment->server;
    struct ga_track *track = &server->track;
    if (!track->on || attachment->standing == GA_STANDING_STILL)
        return; /* who stands still has told all */
    spoil_by(attachment, how);
    if (attachment->tracking != GA_TRACKING_ASKED)
        return;
    attachment->tracking = GA_TRACKING_NOT;
    if (track->nwaiting > 0 && --track->nwaiting == 0)
        uv_timer_start(&track->limit, on_limit, 0, 0); /* the end of it is not for who lost him */
}

/* ---- what was written ---- */

uint64_t ga_track_count(const struct ga_server *server)
{
    const struct ga_track *track = &server->track;
    uint64_t count = 0;
    for (uint64_t word = 0; word < track->nwords; word++)
        count += (uint64_t)__builtin_popcountll(track->written[word]);
    return count;
}

void ga_track_clear(struct ga_server *server)
{
    struct ga_track *track = &server->track;
    memset(track->written, 0, track->nwords * sizeof(*track->written));
    track->nwords = 0;
}

void ga_track_end(struct ga_server *server)
{
    struct ga_track *track = &server->track;
    if (!server->ending)
        uv_timer_stop(&track->limit);
    for (struct ga_attachment *a = server->attachments; a; a = a->next)
        a->tracking = GA_TRACKING_NOT;
    free(track->written);
    free(track->roots);
    track->written = track->roots = NULL;
    track->room = track->nwords = track->nroots = track->roots_room = 0;
    track->nwaiting = 0;
    track->on = false;
}

void ga_track_describe(const struct ga_server *server, char ret[static GA_TRACK_TEXT_BYTES])
{
    const char *why = server->track.why;
    if (server->world->options->gc_stops)
        snprintf(ret, GA_TRACK_TEXT_BYTES, "stops processes, as asked for");
    else
        snprintf(ret, GA_TRACK_TEXT_BYTES, "%s%s", why[0] ? "stopped processes: " : "concurrent",
                 why);
    ga_text_clean(ret); /* it may have been cut */
}

int ga_track_init(struct ga_server *server)
{
    server->track.limit.data = server;
    return uv_timer_init(&server->loop, &server->track.limit);
}

void ga_track_close(struct ga_server *server)
{
    uv_close((uv_handle_t *)&server->track.limit, NULL);
    ga_track_end(server);
}
