/* The handlers of messages, for dispatch.c's table. Each answers a request by itself, unless its
 * message is a note; those that need an attached client are called only for one. */
#ifndef GA_SERVER_SHELL_DISPATCH_HANDLERS_H
#define GA_SERVER_SHELL_DISPATCH_HANDLERS_H

#include <stdbool.h>

#include "proto/message.h"

struct ga_connection;

typedef void ga_handler(struct ga_connection *connection, const Goalloc__V1__Envelope *message);

/* dispatch_clients.c */
ga_handler ga_handle_attach, ga_handle_reattach, ga_handle_reattached, ga_handle_mapped,
    ga_handle_detach, ga_handle_new_mcache;
/* Answer the connection's Attach, if one has waited for the end of a collection. */
void ga_attach_now(struct ga_connection *connection);

/* dispatch_heap.c */
ga_handler ga_handle_lease, ga_handle_lease_ahead, ga_handle_return, ga_handle_large_alloc,
    ga_handle_large_resize, ga_handle_large_free, ga_handle_sync, ga_handle_reclaimed;

/* dispatch_roots.c */
ga_handler ga_handle_publish, ga_handle_replace, ga_handle_lookup, ga_handle_unpublish,
    ga_handle_wait, ga_handle_stop_waiting, ga_handle_list_roots;

/* dispatch_holds.c */
ga_handler ga_handle_hold, ga_handle_release, ga_handle_put_off;

/* dispatch_inspect.c */
ga_handler ga_handle_get_status, ga_handle_list_spans, ga_handle_list_clients,
    ga_handle_list_arenas, ga_handle_list_users;

/* dispatch_scavenge.c */
ga_handler ga_handle_scavenge;

/* dispatch_profile.c */
ga_handler ga_handle_profile_room, ga_handle_set_profile_rate;

/* dispatch_stats.c */
ga_handler ga_handle_get_stats, ga_handle_get_client_stats;

/* dispatch_gc.c */
ga_handler ga_handle_gc, ga_handle_gc_roots, ga_handle_gc_stopped, ga_handle_gc_written,
    ga_handle_gc_tracked;

/* dispatch_watch.c */
ga_handler ga_handle_watch, ga_handle_bad_free;

/* dispatch_programs.c */
ga_handler ga_handle_program, ga_handle_list_programs;

/* dispatch_quiet.c */
ga_handler ga_handle_quiesce, ga_handle_pause, ga_handle_resume;
/* Whether the connection's client may change the heap now: not while it is paused, and then it is
 * told so, unless the message is a note. */
bool ga_pause_allows(struct ga_connection *connection, const Goalloc__V1__Envelope *message);

/* Answer request id that the heap has no memory left, and whose limit that is: dispatch_heap.c. */
void ga_fail_for_memory(struct ga_connection *connection, uint64_t id);
/* Answer request id that a quota is used up, and which: dispatch_heap.c. */
void ga_fail_for_quota(struct ga_connection *connection, uint64_t id);

#endif
