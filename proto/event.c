/* Two tables: of the kinds and their fields, and of the fields and where they lie in a message. */
#include "proto/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

#define SIZE_BYTES 32

enum field {
    FIELD_CLIENT,
    FIELD_PID,
    FIELD_NAME,
    FIELD_UID,
    FIELD_MCACHE,
    FIELD_SPAN_CLASS,
    FIELD_COUNT,
    FIELD_BYTES,
    FIELD_TOTAL_BYTES,
    FIELD_ADDRESS,
    FIELD_DURATION_NS,
    FIELD_CYCLE,
    FIELD_TEXT,
    NFIELDS,
};

static const char *const field_names[NFIELDS] = {
    "client", "pid",         "name",    "uid",         "mcache", "span_class", "count",
    "bytes",  "total_bytes", "address", "duration_ns", "cycle",  "text",
};

#define HAS(field) (1u << FIELD_##field)
#define A_CLIENT   (HAS(CLIENT) | HAS(PID) | HAS(NAME))

static const struct {
    const char *name;
    uint32_t fields;
} kinds[GA_EVENT_COUNT] = {
    [GA_EVENT_ATTACH] = {"attach", A_CLIENT | HAS(UID)},
    [GA_EVENT_REATTACH] = {"reattach", A_CLIENT},
    [GA_EVENT_DETACH] = {"detach", A_CLIENT},
    [GA_EVENT_DEATH] = {"death", A_CLIENT},
    [GA_EVENT_LEASE] = {"lease",
                        A_CLIENT | HAS(MCACHE) | HAS(SPAN_CLASS) | HAS(COUNT) | HAS(BYTES)},
    [GA_EVENT_RETURN] = {"return", A_CLIENT | HAS(MCACHE) | HAS(COUNT)},
    [GA_EVENT_GROW] = {"grow", HAS(BYTES) | HAS(TOTAL_BYTES)},
    [GA_EVENT_SCAVENGE] = {"scavenge", HAS(BYTES) | HAS(TOTAL_BYTES)},
    [GA_EVENT_COLLECT_BEGIN] = {"collect-begin", HAS(CYCLE) | HAS(TEXT)},
    [GA_EVENT_COLLECT_END] = {"collect-end",
                              HAS(CYCLE) | HAS(COUNT) | HAS(BYTES) | HAS(DURATION_NS)},
    [GA_EVENT_COLLECT_ABANDONED] = {"collect-abandoned", HAS(CYCLE) | HAS(TEXT)},
    [GA_EVENT_BAD_FREE] = {"bad-free", A_CLIENT | HAS(ADDRESS) | HAS(COUNT) | HAS(TEXT)},
    [GA_EVENT_REFUSAL] = {"refusal", A_CLIENT | HAS(UID) | HAS(TEXT)},
    [GA_EVENT_QUARANTINE] = {"quarantine", A_CLIENT | HAS(UID) | HAS(TEXT)},
};

const char *ga_event_name(uint32_t kind)
{
    return kind < GA_EVENT_COUNT ? kinds[kind].name : "unknown";
}

int ga_event_find(const char *name, enum ga_event_kind *ret_kind)
{
    for (uint32_t i = 0; i < GA_EVENT_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_kind = (enum ga_event_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

static struct ga_event_field field_of(const Goalloc__V1__Event *event, enum field field)
{
    const struct ga_event_field values[NFIELDS] = {
        [FIELD_CLIENT] = {.number = event->client},
        [FIELD_PID] = {.number = event->pid},
        [FIELD_NAME] = {.text = event->name},
        [FIELD_UID] = {.number = event->uid},
        [FIELD_MCACHE] = {.number = event->mcache},
        [FIELD_SPAN_CLASS] = {.number = event->span_class},
        [FIELD_COUNT] = {.number = event->count},
        [FIELD_BYTES] = {.number = event->bytes},
        [FIELD_TOTAL_BYTES] = {.number = event->total_bytes},
        [FIELD_ADDRESS] = {.number = event->address},
        [FIELD_DURATION_NS] = {.number = event->duration_ns},
        [FIELD_CYCLE] = {.number = event->cycle},
        [FIELD_TEXT] = {.text = event->text},
    };
    struct ga_event_field value = values[field];
    value.name = field_names[field];
    return value;
}

void ga_event_fields(const Goalloc__V1__Event *event,
                     struct ga_event_field ret[static GA_EVENT_FIELDS_MAX + 1])
{
    uint32_t fields = event->kind < GA_EVENT_COUNT ? kinds[event->kind].fields : 0;
    unsigned n = 0;
    for (unsigned i = 0; i < NFIELDS && n < GA_EVENT_FIELDS_MAX; i++)
        if (fields & (1u << i))
            ret[n++] = field_of(event, (enum field)i);
    ret[n] = (struct ga_event_field){0};
}

void ga_event_add_to_json(const Goalloc__V1__Event *event, struct ga_json_line *line)
{
    struct ga_event_field fields[GA_EVENT_FIELDS_MAX + 1];
    ga_json_line_string(line, "event", ga_event_name(event->kind));
    ga_event_fields(event, fields);
    for (const struct ga_event_field *f = fields; f->name; f++) {
        if (f->text)
            ga_json_line_string(line, f->name, f->text);
        else if (strcmp(f->name, field_names[FIELD_ADDRESS]) == 0)
            ga_json_line_address(line, f->name, f->number);
        else
            ga_json_line_number(line, f->name, f->number);
    }
}

/* ---- for people ---- */

/* As "1.5 MiB"; what is less than 10 KiB in bytes. */
static const char *size_of(uint64_t bytes, char ret[static SIZE_BYTES])
{
    static const char units[] = "KMGTPE";
    if (bytes < 10240) {
        snprintf(ret, SIZE_BYTES, "%" PRIu64 " B", bytes);
        return ret;
    }
    double value = (double)bytes / 1024;
    size_t i = 0;
    for (; value >= 1024; i++)
        value /= 1024;
    snprintf(ret, SIZE_BYTES, "%.*f %ciB", value < 100 ? 1 : 0, value, units[i]);
    return ret;
}

static const char *plural(uint64_t number)
{
    return number == 1 ? "" : "s";
}

static int lease_sentence(const Goalloc__V1__Event *event, char *ret, size_t size)
{
    char bytes[SIZE_BYTES];
    size_of(event->bytes, bytes);
    const char *scan = event->span_class % 2 ? ", noscan" : "";
    if (event->span_class < 2)
        return snprintf(ret, size, "leases a large span, %s%s, for mcache %" PRIu32, bytes, scan,
                        event->mcache);
    return snprintf(
        ret, size, "leases %" PRIu64 " span%s of class %" PRIu32 "%s, %s, for mcache %" PRIu32,
        event->count, plural(event->count), event->span_class / 2, scan, bytes, event->mcache);
}

/* What a client is at; who it is was said before. */
static int client_sentence(const Goalloc__V1__Event *event, char *ret, size_t size)
{
    switch ((enum ga_event_kind)event->kind) {
    case GA_EVENT_ATTACH:
        return snprintf(ret, size, "attaches, for user %" PRIu32, event->uid);
    case GA_EVENT_REATTACH:
        return snprintf(ret, size, "is back");
    case GA_EVENT_DETACH:
        return snprintf(ret, size, "has detached");
    case GA_EVENT_DEATH:
        return snprintf(ret, size, "has ended");
    case GA_EVENT_LEASE:
        return lease_sentence(event, ret, size);
    case GA_EVENT_RETURN:
        return snprintf(ret, size, "returns %" PRIu64 " span%s of mcache %" PRIu32, event->count,
                        plural(event->count), event->mcache);
    case GA_EVENT_BAD_FREE:
        return event->count > 1
                   ? snprintf(ret, size, "%s (and %" PRIu64 " more)", event->text, event->count - 1)
                   : snprintf(ret, size, "%s", event->text);
    case GA_EVENT_QUARANTINE:
        return snprintf(ret, size, "is in quarantine: %s", event->text);
    default:
        return snprintf(ret, size, "is refused: %s", event->text);
    }
}

/* Who it is, as in "process 12 (name), client 3, ". One that is not attached is no client. */
static int who(const Goalloc__V1__Event *event, char *ret, size_t size)
{
    bool by_user = event->kind == GA_EVENT_QUARANTINE || event->kind == GA_EVENT_REFUSAL;
    char of[64];
    if (by_user)
        snprintf(of, sizeof(of), "of user %" PRIu32, event->uid);
    else
        snprintf(of, sizeof(of), "(%s)", event->name);
    return event->client ? snprintf(ret, size, "process %" PRIu32 " %s, client %" PRIu32 ", ",
                                    event->pid, of, event->client)
                         : snprintf(ret, size, "process %" PRIu32 " %s ", event->pid, of);
}

static int heap_sentence(const Goalloc__V1__Event *event, char *ret, size_t size)
{
    char bytes[SIZE_BYTES];
    char total[SIZE_BYTES];
    size_of(event->bytes, bytes);
    size_of(event->total_bytes, total);
    switch ((enum ga_event_kind)event->kind) {
    case GA_EVENT_GROW:
        return snprintf(ret, size, "the heap grows by %s to %s", bytes, total);
    case GA_EVENT_SCAVENGE:
        return snprintf(ret, size, "%s go back to the system, %s of the heap have no memory now",
                        bytes, total);
    case GA_EVENT_COLLECT_BEGIN:
        return snprintf(ret, size, "collection %" PRIu32 " begins: %s", event->cycle, event->text);
    case GA_EVENT_COLLECT_END:
        return snprintf(ret, size,
                        "collection %" PRIu32 " has freed %" PRIu64
                        " object%s, %s, marked in %.1f ms",
                        event->cycle, event->count, plural(event->count), bytes,
                        (double)event->duration_ns / 1e6);
    case GA_EVENT_COLLECT_ABANDONED:
        return snprintf(ret, size, "collection %" PRIu32 " was abandoned: %s", event->cycle,
                        event->text);
    default:
        return snprintf(ret, size, "event %" PRIu32 ", which this version does not know",
                        event->kind);
    }
}

void ga_event_sentence(const Goalloc__V1__Event *event, char ret[static GA_EVENT_TEXT_BYTES])
{
    uint32_t fields = event->kind < GA_EVENT_COUNT ? kinds[event->kind].fields : 0;
    if (!(fields & HAS(CLIENT))) {
        (void)heap_sentence(event, ret, GA_EVENT_TEXT_BYTES);
        ga_text_clean(ret);
        return;
    }
    int n = who(event, ret, GA_EVENT_TEXT_BYTES);
    if (n > 0 && n < GA_EVENT_TEXT_BYTES)
        (void)client_sentence(event, ret + n, (size_t)(GA_EVENT_TEXT_BYTES - n));
    ga_text_clean(ret); /* it may have been cut within a character */
}
