/* Backing: which pieces of a shared memory object have been committed. Tables are large and
 * sparse, so what is needed of them is committed piece by piece, before anybody may touch it. */
#ifndef GA_SERVER_BACKING_H
#define GA_SERVER_BACKING_H

#include "server/heap.h"

struct ga_backing {
    const struct ga_heap_effects *effects;
    enum ga_object object;
    uint64_t *committed; /* one bit a piece */
    uint64_t bytes;      /* of the whole object, in whole OS pages */
    uint64_t piece_bytes;
    uint64_t npieces;
    uint64_t ncommitted;
};

/* For an object of bytes, committed in pieces of piece_bytes, which is an OS page or more of them;
 * nothing is committed yet. 0 or -ENOMEM. */
int ga_backing_init(struct ga_backing *backing, const struct ga_heap_effects *effects,
                    enum ga_object object, uint64_t bytes, uint64_t piece_bytes);
void ga_backing_fini(struct ga_backing *backing);

/* Make sure that [offset, offset + bytes) is committed. 0, or the effect's error; then what was
 * committed stays. */
int ga_backing_ensure(struct ga_backing *backing, uint64_t offset, uint64_t bytes);

/* Bytes committed so far; and those of them in the pieces from that of offset to that of
 * offset + bytes, which is not included. */
uint64_t ga_backing_bytes(const struct ga_backing *backing);
uint64_t ga_backing_bytes_in(const struct ga_backing *backing, uint64_t offset, uint64_t bytes);

#endif
