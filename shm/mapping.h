/* The three shared memory objects of a heap: making, opening, mapping and removing them. */
#ifndef GA_SHM_MAPPING_H
#define GA_SHM_MAPPING_H

#include <stdbool.h>

#include "shm/layout.h"

enum ga_object {
    GA_OBJECT_META = 0,
    GA_OBJECT_BITS = 1,
    GA_OBJECT_HEAP = 2,
};
#define GA_OBJECT_COUNT 3

/* Room for "/goalloc." name ".meta" and its zero. */
#define GA_OBJECT_NAME_BYTES (GA_HEAP_NAME_MAX + 16)

/* One object, mapped whole. fd is -1 and address NULL where there is none. */
struct ga_mapping {
    int fd;
    void *address;
    uint64_t bytes;
};
#define GA_MAPPING_NONE ((struct ga_mapping){.fd = -1})

/* Whether name can be a heap's: 1..GA_HEAP_NAME_MAX letters, digits, '-', '_' and '.', not
 * beginning with '.'. */
bool ga_heap_name_is_valid(const char *name);

/* Write the name of a heap's object as shm_open takes it; name must be valid. */
void ga_object_name(const char *name, enum ga_object object,
                    char ret_name[static GA_OBJECT_NAME_BYTES]);

/* Make the object anew (mode: of the file) and map bytes of it read-write, the object itself being
 * empty as yet; the heap object at address, others (address 0) anywhere. Returns 0, -EEXIST, or
 * another negative errno. */
int ga_mapping_create(const char *name, enum ga_object object, unsigned mode, uint64_t address,
                      uint64_t bytes, struct ga_mapping *ret);

/* Open an object of an existing heap and map bytes of it (0: as much as it holds), read-only for
 * meta and where read_only says so. The object must belong to owner_uid, or to anyone where that is
 * -1. Returns 0; -ENOENT; -EACCES; -EPERM (another's object); -EADDRINUSE where address is not
 * free; -EPROTO (smaller than its header); or another negative errno. */
int ga_mapping_open(const char *name, enum ga_object object, bool read_only, int64_t owner_uid,
                    uint64_t address, uint64_t bytes, struct ga_mapping *ret);

/* As ga_mapping_open, for a server that takes the heap over: meta too is mapped to be written. */
int ga_mapping_adopt(const char *name, enum ga_object object, int64_t owner_uid, uint64_t address,
                     uint64_t bytes, struct ga_mapping *ret);

/* Unmap and close; a mapping that is GA_MAPPING_NONE is left alone. */
void ga_mapping_close(struct ga_mapping *m);

/* Remove the object's name; processes that have it mapped keep it. 0, -ENOENT or negative errno. */
int ga_object_unlink(const char *name, enum ga_object object);

/* Whether [address, address + bytes) is free in this process. */
bool ga_window_is_free(uint64_t address, uint64_t bytes);

#endif
