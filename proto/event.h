/* What happens to a heap, as `goallocctl watch` and the server's log tell it: the kinds, which
 * fields each has, and the same event as a sentence and as a line of JSON. The numbers of the kinds
 * are wire values: they never change. */
#ifndef GA_PROTO_EVENT_H
#define GA_PROTO_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/json_line.h"
#include "proto-generated/goalloc.pb-c.h"

enum ga_event_kind {
    GA_EVENT_ATTACH = 0,
    GA_EVENT_REATTACH = 1, /* to another server, or after its connection had ended */
    GA_EVENT_DETACH = 2,
    GA_EVENT_DEATH = 3, /* its process has ended without a detach */
    GA_EVENT_LEASE = 4, /* small spans, also ahead, and large ones */
    GA_EVENT_RETURN = 5,
    GA_EVENT_GROW = 6,
    GA_EVENT_SCAVENGE = 7,
    GA_EVENT_COLLECT_BEGIN = 8,
    GA_EVENT_COLLECT_END = 9,
    GA_EVENT_COLLECT_ABANDONED = 10,
    GA_EVENT_BAD_FREE = 11,
    GA_EVENT_REFUSAL = 12, /* of memory: by a quota, the limit, or the system */
    GA_EVENT_QUARANTINE = 13,
};
#define GA_EVENT_COUNT 14u
#define GA_EVENTS_ALL  ((UINT64_C(1) << GA_EVENT_COUNT) - 1)

/* What there can be several thousand of in a second. */
#define GA_EVENTS_FREQUENT ((UINT64_C(1) << GA_EVENT_LEASE) | (UINT64_C(1) << GA_EVENT_RETURN))

#define GA_EVENT_TEXT_BYTES 512 /* of a sentence */
#define GA_EVENT_JSON_BYTES 2048

/* The kind's name, as in "bad-free"; "unknown" for a number that this build does not know. */
const char *ga_event_name(uint32_t kind);
/* Find the kind called name. Returns 0, or -EINVAL. */
int ga_event_find(const char *name, enum ga_event_kind *ret_kind);

/* A field that a kind has. */
struct ga_event_field {
    const char *name; /* "client", "bytes", ...; NULL behind the last */
    const char *text; /* NULL: it is a number */
    uint64_t number;
};
#define GA_EVENT_FIELDS_MAX 8u
/* The fields of event, which the result points into. A kind that is not known has none. */
void ga_event_fields(const Goalloc__V1__Event *event,
                     struct ga_event_field ret[static GA_EVENT_FIELDS_MAX + 1]);

/* What happened, for people: a clause without a full stop, cut where it is longer than ret has room
 * for. All that is here is thread-safe. */
void ga_event_sentence(const Goalloc__V1__Event *event, char ret[static GA_EVENT_TEXT_BYTES]);

/* Add the kind and its fields to an object. */
void ga_event_add_to_json(const Goalloc__V1__Event *event, struct ga_json_line *line);

#endif
