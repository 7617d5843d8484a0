/* Allocating into a handle: the words in the mcache by which the server finds, when this process is
 * killed on the way, an object that nobody knows of. See server/handles.c. */
#ifndef GA_CLIENT_INTO_H
#define GA_CLIENT_INTO_H

#include "client/heap.h"

/* The mcache's thread begins to allocate into a handle, by its index. */
static inline void ga_into_begin(struct ga_mcache *shared, uint32_t handle)
{
    /* Release, as all of these: what is left of a killed thread is what it had stored by then. */
    ga_store_release(&shared->into_object, 0);
    ga_store_release(&shared->into_handle, handle + 1);
}

/* The object at offset is about to be taken, if need be into a handle. */
static inline void ga_into_note(struct ga_mcache *shared, uint64_t offset)
{
    if (ga_load_relaxed(&shared->into_handle) != 0)
        ga_store_release(&shared->into_object, offset);
}

/* The handle names the object; or there is none. */
static inline void ga_into_end(struct ga_mcache *shared)
{
    ga_store_release(&shared->into_handle, 0);
}

#endif
