/* The tables of a heap in use, mapped to be read where they lie: for who must look at a word twice.
 * What is read changes meanwhile. */
#ifndef GA_CTL_LIVE_HEAP_H
#define GA_CTL_LIVE_HEAP_H

#include "shm/mapping.h"
#include "shm/view.h"

struct ga_live_heap {
    struct ga_view view;
    struct ga_mapping meta;
    struct ga_mapping bits;
};

/* Map the heap called name. If one of its objects is cut short while it is read, this process ends
 * with code 1 after a line on stderr: there is one such heap at a time. Returns 0; a negative errno
 * after the reason has been told on stderr. */
int ga_live_heap_open(const char *name, struct ga_live_heap *ret);
void ga_live_heap_close(struct ga_live_heap *heap);

#endif
