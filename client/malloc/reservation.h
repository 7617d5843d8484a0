/* The address space of a process's heap: one reservation for its objects, its meta and bits, and
 * the core's books, of which memory is what is touched. */
#ifndef GA_CLIENT_MALLOC_RESERVATION_H
#define GA_CLIENT_MALLOC_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

struct ga_reservation {
    char *heap; /* the parts, in this order; the heap's begins at a multiple of an arena's size */
    char *profiler; /* GA_PROFILER_BYTES */
    char *near_books;
    char *thread_cache; /* the first thread's; directly before meta */
    char *meta;
    char *bits; /* in meta, and behind it (shm/view.c) */
    char *books;
    char *start; /* of all that is reserved: there is some before the heap, and behind the books */
    uint64_t bytes;
    uint64_t heap_bytes;
    uint64_t near_books_bytes;
    uint64_t books_bytes;
    bool is_counted; /* somebody counts what may be written, so that all is opened piece by piece */
};

/* Reserve as much as is useful, or as may be. False where no heap fits. */
bool ga_reservation_make(struct ga_reservation *ret);

/* [from, to) of the heap may be read and written. 0 or -ENOMEM. */
int ga_reservation_open_heap(const struct ga_reservation *reservation, uint64_t from, uint64_t to);

/* [offset, offset + bytes) of meta, or of bits, may be read and written. 0 or -ENOMEM. */
int ga_reservation_open(const struct ga_reservation *reservation, bool meta, uint64_t offset,
                        uint64_t bytes);

#endif
