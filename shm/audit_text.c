/* Faults in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "shm/audit.h"

static const struct {
    const char *name;
    const char *text;
} kinds[] = {
#define GA_AUDIT_ROW(constant, name, text) [GA_FAULT_##constant] = {name, text},
    GA_AUDIT_KINDS(GA_AUDIT_ROW)
#undef GA_AUDIT_ROW
};

const char *ga_audit_kind_name(uint32_t kind)
{
    return kind < GA_FAULT_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *ga_audit_kind_text(uint32_t kind)
{
    return kind < GA_FAULT_KIND_COUNT ? kinds[kind].text : "unknown";
}

struct line {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = GA_AUDIT_TEXT_BYTES - line->length;
    int n = vsnprintf(line->text + line->length, room, format, arguments);
    va_end(arguments);
    if (n > 0)
        line->length += (size_t)n < room ? (size_t)n : room - 1;
}

/* The table that the fault's index is in. */
static const char *table_of(uint32_t kind)
{
    switch (kind) {
    case GA_FAULT_ARENA:
        return "arena";
    case GA_FAULT_CLIENT:
    case GA_FAULT_HANDLE:
    case GA_FAULT_HANDLE_LEFT:
    case GA_FAULT_GC_WORD:
        return "client";
    case GA_FAULT_ROOT:
    case GA_FAULT_ROOT_TWICE:
        return "root";
    case GA_FAULT_HOLD:
        return "hold";
    case GA_FAULT_SAMPLE:
    case GA_FAULT_SAMPLE_PLACE:
        return "set of samples";
    case GA_FAULT_COUNTERS:
        return "size class";
    case GA_FAULT_RING:
    case GA_FAULT_RING_SPAN:
    case GA_FAULT_RING_TWICE:
        return "ring entry";
    default:
        return "index";
    }
}

const char *ga_audit_fault_text(const struct ga_audit_fault *fault,
                                char text[static GA_AUDIT_TEXT_BYTES])
{
    struct line line = {.text = text};
    text[0] = '\0';
    if (fault->page)
        say(&line, "page %" PRIu32 ", ", fault->page);
    if (fault->span_class >= 0)
        say(&line, "span class %" PRId32 ", ", fault->span_class);
    if (fault->word >= 0)
        say(&line, "word %" PRId32 ", ", fault->word);
    if (fault->mcache)
        say(&line, "mcache %" PRIu32 ", ", fault->mcache);
    if (fault->index >= 0)
        say(&line, "%s %" PRId32 ", ", table_of(fault->kind), fault->index);
    if (line.length >= 2)
        line.length -= 2;
    say(&line, "%s%s: found 0x%" PRIx64, line.length ? ": " : "", ga_audit_kind_text(fault->kind),
        fault->found);
    if (fault->expected)
        say(&line, ", expected 0x%" PRIx64, fault->expected);
    if (fault->also)
        say(&line, ", beside 0x%" PRIx64, fault->also);
    if (fault->holder)
        say(&line, ", holder 0x%" PRIx64, fault->holder);
    return text;
}
