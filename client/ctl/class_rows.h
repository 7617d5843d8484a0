/* What a Stats message says of each size class, in the order of the classes. */
#ifndef GA_CTL_CLASS_ROWS_H
#define GA_CTL_CLASS_ROWS_H

#include "proto/message.h"
#include "shm/size_class.h"

struct ga_class_row {
    uint64_t mallocs;
    uint64_t frees;
    uint64_t live; /* what the mallocs exceed the frees by, and never less than none */
    uint64_t spans;
    uint64_t alloc_bytes;
};

struct ga_class_rows {
    struct ga_class_row row[GA_SIZE_CLASS_COUNT];
};

/* Collect the rows, whichever of them the message has; a class without one has zeros. */
void ga_class_rows_collect(const Goalloc__V1__Stats *stats, struct ga_class_rows *ret);

#endif
