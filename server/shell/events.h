/* What happens in the heap, told to whoever wants to know: USDT probes, clients that have said
 * Watch, and the log. One function for each kind, called where it happens.
 *
 * The probes are of the provider goallocd: a nop each, where nobody traces. Their names and
 * arguments stand at the functions; all are integers but for texts, which are C strings.
 *
 * Events are held until the loop is about to wait, and then sent to those who watch. One that does
 * not read loses events, and is told how many: neither the server's memory nor its time depends on
 * who reads. */
#ifndef GA_SERVER_SHELL_EVENTS_H
#define GA_SERVER_SHELL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/message.h"
#include "server/shell/log.h"

struct ga_server;
struct ga_connection;
struct ga_attachment;
struct ga_watch;
struct ga_held_event;

struct ga_events {
    struct ga_watch *watches;
    uint64_t watched; /* the kinds that somebody watches, as bits, */
    uint64_t logged;  /* and that the log shows */
    uv_prepare_t sending;
    struct ga_held_event *held; /* NULL until somebody watches */
    uint32_t nheld;
    struct ga_log_limit bad_frees;
    struct ga_log_limit refusals;
    struct ga_log_limit quarantines;
};

/* Nobody watches. 0 or a negative errno. */
int ga_events_init(struct ga_server *server);
/* Send what is held, and close what the loop has of this. */
void ga_events_close(struct ga_server *server);

/* Tell connection of the kinds in kinds, in place of those before; of process pid alone, if that is
 * not 0. 0 or -ENOMEM. */
int ga_events_watch(struct ga_connection *connection, uint64_t kinds, uint32_t pid);
/* The connection closes. */
void ga_events_forget(struct ga_connection *connection);

/* attach(client, pid, name, uid); reattach, detach and death(client, pid, name). client: its
 * number, from 1, here and below. */
void ga_event_attach(const struct ga_attachment *attachment);
void ga_event_reattach(const struct ga_attachment *attachment);
void ga_event_detach(const struct ga_attachment *attachment);
void ga_event_death(const struct ga_attachment *attachment);
/* lease(client, pid, mcache, span class, spans, bytes of them in all); a span class of 0 or 1 is a
 * large span. return(client, pid, mcache, spans). */
void ga_event_lease(const struct ga_attachment *attachment, uint32_t mcache, uint32_t span_class,
                    uint64_t nspans, uint64_t bytes);
void ga_event_return(const struct ga_attachment *attachment, uint32_t mcache, uint64_t nspans);
/* grow(bytes, bytes of the heap then); scavenge(bytes that lost their memory, bytes of the heap
 * that have none then). */
void ga_event_grow(struct ga_server *server, uint64_t bytes);
void ga_event_scavenge(struct ga_server *server, uint64_t bytes);
/* collect_begin(cycle, mode: 0 report, 1 orphans, 2 full); collect_end(cycle, objects freed, bytes
 * freed, ns of marking); collect_abandoned(cycle, why). */
void ga_event_collect_begin(struct ga_server *server);
void ga_event_collect_end(struct ga_server *server);
void ga_event_collect_abandoned(struct ga_server *server);
/* bad_free(client, pid, address, what, how many: more than 1 where others were left out). By what
 * the client says. */
void ga_event_bad_free(const struct ga_attachment *attachment, uint64_t address, const char *what,
                       uint64_t count);
/* refusal(client, or 0, pid, uid, why): of memory, spans or what else there are limits of. */
void ga_event_refusal(const struct ga_connection *connection, const char *why);
/* quarantine(client, pid, uid, deed). */
void ga_event_quarantine(const struct ga_attachment *attachment, const char *deed);

#endif
