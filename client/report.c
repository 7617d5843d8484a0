/* Reports: what was misused, in one line that names the pointer and what is wrong with it. */
#include <stdio.h>
#include <string.h>
#include <sys/sdt.h>
#include <unistd.h>

#include "client/heap.h"
#include "client/mcache.h"
#include "client/uncancelled.h"

/* A program that frees badly in a loop does not fill the channel with it. */
#define TOLD_MAX       16u
#define TOLD_WINDOW_MS 1000u

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

/* Whether the server is to be told of one more; *ret_left_out: of how many it was not. Several
 * threads at once may tell of a few more. */
static bool may_tell(struct ga_bad_frees *bad, uint64_t *ret_left_out)
{
    uint64_t now_ms = ga_mcache_now_ms();
    if (now_ms - ga_load_relaxed(&bad->window_ms) >= TOLD_WINDOW_MS) {
        ga_store_relaxed(&bad->window_ms, now_ms);
        ga_store_relaxed(&bad->told, 0);
    }
    if (ga_fetch_add_relaxed(&bad->told, 1) >= TOLD_MAX) {
        ga_fetch_add_relaxed(&bad->left_out, 1);
        return false;
    }
    *ret_left_out = ga_xchg_seq_cst(&bad->left_out, 0);
    return true;
}

/* For who watches the heap. Not by a copy of the process that has not attached as itself. */
static void tell_server(struct goalloc_heap *heap, const void *p, const char *message)
{
    if (!heap->channel || ga_load_relaxed(&heap->tls_index) == 0)
        return;
    Goalloc__V1__BadFree body = GOALLOC__V1__BAD_FREE__INIT;
    if (!may_tell(&heap->bad_frees, &body.left_out))
        return;
    body.address = (uintptr_t)p;
    body.what = (char *)(uintptr_t)message; /* only read */
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_BAD_FREE;
    note.bad_free = &body;
    (void)ga_channel_note(heap->channel, &note);
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
    DTRACE_PROBE3(goalloc, bad_free, p, message, ga_load_relaxed(&heap->client));
    tell_server(heap, p, message);
    ga_report(heap, GOALLOC_REPORT_BAD_FREE, message);
}
