/* A collection begins while everybody runs: what the server asks for then (GcTrack), and the
 * telling of what this process writes meanwhile. On the library's thread. */
#ifndef GA_CLIENT_TRACK_H
#define GA_CLIENT_TRACK_H

#include <stdint.h>

#include "proto/message.h"

struct goalloc_heap;

/* Do what is asked, and answer. */
void ga_track(struct goalloc_heap *heap, const Goalloc__V1__GcTrack *asked);

/* Tell what was written for cycle, threads standing still. If that cannot be, the server is told so
 * instead. 0 or a negative errno of the connection's. */
int ga_track_tell_last(struct goalloc_heap *heap, uint32_t cycle);

#endif
