/* Reports: what was misused, in one line that names the pointer and what is wrong with it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/heap.h"
#include "client/uncancelled.h"

void ga_report(struct goalloc_heap *heap, enum goalloc_report_kind kind, const char *message)
{
    GA_UNCANCELLED;
    if (heap->report) {
        heap->report(kind, message, heap->report_data);
        return;
    }
    char line[512];
    int n = snprintf(line, sizeof(line), "goalloc: %s\n", message);
    if (n < 0)
        return;
    size_t length = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
    /* One write, so that lines of several processes do not mix; if it fails there is nobody left to
     * tell. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}

static void describe_slot(char *ret, size_t bytes, const struct goalloc_heap *heap,
                          enum ga_lookup why, const void *p, const struct ga_slot *slot)
{
    if (slot->entry & GA_ENTRY_TINY) {
        snprintf(ret, bytes,
                 "no tiny object in use begins there: a double free, inside an object, or never "
                 "allocated");
        return;
    }
    uint64_t size = ga_lookup_bytes(heap, slot);
    uint64_t start = heap->base + ((uint64_t)slot->page << GA_PAGE_SHIFT) + slot->index * size;
    if (why == GA_LOOKUP_SLOT)
        snprintf(ret, bytes,
                 "the object is not in use: a double free, or never allocated (%llu bytes)",
                 (unsigned long long)size);
    else if (ga_entry_span_class(slot->entry) >= 2 &&
             slot->index >= ga_size_classes[ga_entry_span_class(slot->entry) / 2].nslots)
        snprintf(ret, bytes, "behind the last object of a span of %llu-byte objects",
                 (unsigned long long)size);
    else
        snprintf(ret, bytes, "inside an object: it begins at %#llx and has %llu bytes",
                 (unsigned long long)start, (unsigned long long)size);
    (void)p;
}

void ga_report_bad(struct goalloc_heap *heap, const char *function, const void *p,
                   enum ga_lookup why, const struct ga_slot *slot)
{
    char what[160];
    switch (why) {
    case GA_LOOKUP_OUTSIDE:
        snprintf(what, sizeof(what), "not in this heap (%#lx to %#lx)", heap->base,
                 heap->base + heap->reserve_bytes);
        break;
    case GA_LOOKUP_UNCOMMITTED:
        snprintf(what, sizeof(what), "past the end of the heap's memory");
        break;
    case GA_LOOKUP_NO_SPAN:
        snprintf(what, sizeof(what), "no object is there: freed, or never allocated");
        break;
    default:
        describe_slot(what, sizeof(what), heap, why, p, slot);
    }
    char message[256];
    snprintf(message, sizeof(message), "%s(%p): %s; nothing was changed", function, p, what);
    ga_report(heap, GOALLOC_REPORT_BAD_FREE, message);
}
