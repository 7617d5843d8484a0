#include "server/own/core_memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ALIGNMENT 64u

static char *next_place;
static size_t bytes_left;
static char *near_start;
static char *near_left; /* the end of what is left */
static char *near_end;

void ga_core_memory_init(void *near, size_t near_bytes, void *address, size_t bytes)
{
    next_place = address;
    bytes_left = bytes;
    near_start = near;
    near_end = near_start + near_bytes;
    near_left = near_end;
}

static bool is_near(const char *p)
{
    return p >= near_start && p < near_end;
}

static size_t whole(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* Nothing is noted of a piece: it would be in a page of its own beside a large one that is not
 * touched. */
void *ga_core_malloc(size_t size)
{
    if (size <= (size_t)(near_left - near_start)) { /* which is a multiple of ALIGNMENT */
        near_left -= whole(size);
        near_left[0] = 0; /* as it is; but where it is read first, that is a fault more */
        return near_left;
    }
    if (size > bytes_left || bytes_left - size < ALIGNMENT) {
        errno = ENOMEM;
        return NULL;
    }
    char *piece = next_place;
    next_place += whole(size);
    bytes_left -= whole(size);
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
    if (!p || !moved)
        return moved;
    /* Of a shorter one, what comes after it as well: there is memory as far as that. */
    size_t until_end = (size_t)(near_end - (char *)p);
    memmove(moved, p, is_near(p) && until_end < size ? until_end : size);
    return moved;
}

void ga_core_free(void *p)
{
    (void)p;
}
