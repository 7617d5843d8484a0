/* The server marks while everybody runs, and then once more what was written to meanwhile. So it
 * asks each process to know that, before it begins; those that are collected stand still for a
 * moment and say what they point to, since without that the marking would not get far. Nothing
 * hangs on these roots: they are looked for again when all stand still. */
#include "client/track.h"

#include <stdio.h>

#include "client/deadline.h"
#include "client/heap.h"
#include "client/managed.h"
#include "client/written.h"

#define TELL_MS 5000u /* for the server to take a message */

static_assert(GA_WRITTEN_WHY_BYTES == GA_STOP_WHY_BYTES, "one clause");

enum step { BEGIN = 0, AGAIN = 1, LAST = 2 };

struct told {
    struct goalloc_heap *heap;
    uint32_t cycle;
};

static int tell_written(uint64_t first, const uint8_t *bits, size_t nbytes, void *data)
{
    const struct told *told = data;
    Goalloc__V1__GcWritten body = GOALLOC__V1__GC_WRITTEN__INIT;
    body.cycle = told->cycle;
    body.first = first;
    body.bits.len = nbytes;
    body.bits.data = (uint8_t *)(uintptr_t)bits; /* not const in protobuf-c; only read */
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_WRITTEN;
    note.gc_written = &body;
    struct timespec deadline = ga_deadline_in(TELL_MS);
    return ga_channel_note_sent(told->heap->channel, &note, &deadline);
}

static int tell_tracked(const struct told *told, char *failure, uint64_t stood_ns)
{
    Goalloc__V1__GcTracked body = GOALLOC__V1__GC_TRACKED__INIT;
    body.cycle = told->cycle;
    body.failure = failure;
    body.stood_ns = stood_ns;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_TRACKED;
    note.gc_tracked = &body;
    struct timespec deadline = ga_deadline_in(TELL_MS);
    return ga_channel_note_sent(told->heap->channel, &note, &deadline);
}

void ga_track(struct goalloc_heap *heap, const Goalloc__V1__GcTrack *asked)
{
    char why[GA_WRITTEN_WHY_BYTES] = "";
    struct told told = {heap, asked->cycle};
    uint64_t stood_ns = 0;
    int r = 0;
    /* Pairs with the release when it was mapped. */
    if (!ga_load_acquire(&heap->mapped)) {
        (void)tell_tracked(&told, (char[]){"it is just attaching"}, 0);
        return;
    }
    if (asked->step == BEGIN)
        r = ga_written_begin(heap, why);
    else
        r = ga_written_tell(heap, asked->step == AGAIN, tell_written, &told, why);
    if (r == 0 && asked->step == BEGIN && heap->managed)
        r = ga_managed_look(heap, asked->cycle, why, &stood_ns);
    if (r < 0 && !why[0])
        snprintf(why, sizeof(why), "the server does not listen");
    (void)tell_tracked(&told, why, stood_ns);
}

int ga_track_tell_last(struct goalloc_heap *heap, uint32_t cycle)
{
    char why[GA_WRITTEN_WHY_BYTES] = "";
    struct told told = {heap, cycle};
    return ga_written_tell(heap, false, tell_written, &told, why) == 0
               ? 0
               : tell_tracked(&told, why[0] ? why : (char[]){"the server does not listen"}, 0);
}
