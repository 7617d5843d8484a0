/* A managed process: its objects are collected (GOALLOC_MANAGED), and for that its threads stand
 * still and its memory is scanned when the server says so. */
#ifndef GA_CLIENT_MANAGED_H
#define GA_CLIENT_MANAGED_H

#include "client/managed_stop.h"

struct goalloc_heap;

/* Before heap is attached: take the signal, and room to scan in. stop_signal: as in
 * goalloc_options. 0 or as ga_stop_take_signal. */
int ga_managed_begin(struct goalloc_heap *heap, uint32_t stop_signal,
                     char ret_why[static GA_STOP_WHY_BYTES]);
void ga_managed_end(struct goalloc_heap *heap);

/* The server begins cycle: stand still, tell what there is of roots, and go on when it is over. If
 * tracked is not 0, tell what was written for that cycle, too (track.h). On the library's thread,
 * which does nothing else meanwhile. */
void ga_managed_stop(struct goalloc_heap *heap, uint32_t cycle, uint32_t tracked);

/* Tell what there is of roots, while threads run: they stand still only to have it seen where their
 * stacks begin, and for how long is *ret_stood_ns. 0 or a negative errno, and then ret_why is a
 * clause, or empty where the connection is at fault. On the library's thread. */
int ga_managed_look(struct goalloc_heap *heap, uint32_t cycle,
                    char ret_why[static GA_STOP_WHY_BYTES], uint64_t *ret_stood_ns);

#endif
