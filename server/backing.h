/* Backing: which OS pages of a shared memory object have been committed. Tables are large and
 * sparse, so what is needed of them is committed piece by piece, before anybody may touch it. */
#ifndef GA_SERVER_BACKING_H
#define GA_SERVER_BACKING_H

#include "server/heap.h"

struct ga_backing {
    const struct ga_heap_effects *effects;
    enum ga_object object;
    uint64_t *committed; /* one bit an OS page */
    uint64_t npages;     /* OS pages of the whole object */
    uint64_t ncommitted;
};

/* For an object of bytes; nothing is committed yet. 0 or -ENOMEM. */
int ga_backing_init(struct ga_backing *backing, const struct ga_heap_effects *effects,
                    enum ga_object object, uint64_t bytes);
void ga_backing_fini(struct ga_backing *backing);

/* Make sure that [offset, offset + bytes) is committed. 0, or the effect's error; then what was
 * committed stays. */
int ga_backing_ensure(struct ga_backing *backing, uint64_t offset, uint64_t bytes);

/* Bytes committed so far; and those of them in the OS pages from where offset lies to where
 * offset + bytes does, that one not included. */
uint64_t ga_backing_bytes(const struct ga_backing *backing);
uint64_t ga_backing_bytes_in(const struct ga_backing *backing, uint64_t offset, uint64_t bytes);

#endif
