#include "server/own/core_memory.h"

#include <errno.h>
#include <string.h>

#define ALIGNMENT 64u

static char *next_place;
static size_t bytes_left;

void ga_core_memory_init(void *address, size_t bytes)
{
    next_place = address;
    bytes_left = bytes;
}

/* Nothing is noted of a piece: it would be in a page of its own beside a large one that is not
 * touched. */
void *ga_core_malloc(size_t size)
{
    if (size > bytes_left || bytes_left - size < ALIGNMENT) {
        errno = ENOMEM;
        return NULL;
    }
    char *piece = next_place;
    size_t whole = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    next_place += whole;
    bytes_left -= whole;
    piece[0] = 0; /* as it is; but where it is read first, that is a fault more */
    return piece;
}

void *ga_core_aligned_alloc(size_t alignment, size_t size)
{
    if (alignment > ALIGNMENT) {
        errno = EINVAL;
        return NULL;
    }
    return ga_core_malloc(size);
}

void *ga_core_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return ga_core_malloc(bytes); /* what was never given out is zero */
}

void *ga_core_realloc(void *p, size_t size)
{
    void *moved = ga_core_malloc(size);
    /* Of a shorter one, what comes after it as well: there is memory up to the new one's end. */
    if (p && moved)
        memmove(moved, p, size);
    return moved;
}

void ga_core_free(void *p)
{
    (void)p;
}
