/* Questions to the source: single ones, and lists that come in parts. What fails is told on stderr,
 * so the commands only pass the error on. */
#ifndef GA_CTL_ASK_H
#define GA_CTL_ASK_H

#include <stddef.h>

#include "client/ctl/command.h"

/* Return 0 and the answer, for the caller to give to ga_answer_fini, or a negative errno. */
int ga_ask_status(const struct ga_ctl *ctl, struct ga_answer *ret_answer);
int ga_ask_stats(const struct ga_ctl *ctl, struct ga_answer *ret_answer);
/* A part of how old spans are, from page on: a SpanList with ages. Not from shared memory. */
int ga_ask_ages(const struct ga_ctl *ctl, uint64_t page, struct ga_answer *ret_answer);
int ga_ask_client_stats(const struct ga_ctl *ctl, uint32_t client, struct ga_answer *ret_answer);
int ga_ask_scavenge(const struct ga_ctl *ctl, struct ga_answer *ret_answer);

/* Of a collection; the numbers are those of the protocol. */
enum ga_gc_mode {
    GA_GC_REPORT = 0, /* count what nothing reaches, also of policy keep, and free nothing */
    GA_GC_FULL = 2,   /* free it, of managed processes and policy unreachable */
};
/* It may have failed; then the answer says why. */
int ga_ask_gc(const struct ga_ctl *ctl, enum ga_gc_mode mode, struct ga_answer *ret_answer);

/* The answers that make up one list, in their order. */
struct ga_parts {
    struct ga_answer *answers;
    size_t count;
};

/* Fetch a whole list. The list is no snapshot: what changes between two parts may be in it or not.
 * Returns 0 and the parts, for the caller to give to ga_parts_fini, or a negative errno. */
int ga_ask_arenas(const struct ga_ctl *ctl, struct ga_parts *ret_parts);
int ga_ask_spans(const struct ga_ctl *ctl, struct ga_parts *ret_parts);
int ga_ask_clients(const struct ga_ctl *ctl, struct ga_parts *ret_parts);
int ga_ask_programs(const struct ga_ctl *ctl, struct ga_parts *ret_parts); /* of a server */
int ga_ask_users(const struct ga_ctl *ctl, struct ga_parts *ret_parts);
int ga_ask_roots(const struct ga_ctl *ctl, struct ga_parts *ret_parts);
void ga_parts_fini(struct ga_parts *parts);

#endif
