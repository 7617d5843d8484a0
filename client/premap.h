/* Mapping memory before it is used: of spans that were just granted, many at a time, in one system
 * call where first uses would be a fault for each OS page. That is less work for the kernel, and
 * nearly no malloc meets any. */
#ifndef GA_CLIENT_PREMAP_H
#define GA_CLIENT_PREMAP_H

#include "client/heap.h"

/* Pages beside each other that are to be mapped together; begins as all zero. */
struct ga_premap {
    ga_page_id page;
    uint64_t npages;
};

/* A span was granted: if it is of memory that nobody has used, it is to be mapped with those of run
 * that lie beside it, and what does not is mapped now. */
void ga_premap_add(const struct goalloc_heap *heap, ga_page_id page, struct ga_premap *run);
/* Map what is left. */
void ga_premap_end(const struct goalloc_heap *heap, struct ga_premap *run);

#endif
