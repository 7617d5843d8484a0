/* How a heap comes by its memory, and parts with it. */
#include <malloc.h>

#include "check.h"

#define MIB         ((size_t)1 << 20)
#define LARGE_BYTES 900000u
#define NLARGE      64u

static void *(*volatile allocate)(size_t) = malloc;

/* What was freed of large objects is there for objects of all sizes, but for a little. */
static void check_large(void)
{
    static void *large[NLARGE];
    for (unsigned i = 0; i < NLARGE; i++) {
        large[i] = allocate(LARGE_BYTES);
        CHECK(large[i]);
    }
    size_t idle = mallinfo2().keepcost;
    for (unsigned i = 0; i < NLARGE; i++)
        free(large[i]);
    CHECK(mallinfo2().keepcost >= idle + (size_t)NLARGE * LARGE_BYTES - MIB);
}

int main(void)
{
    check_large();
    puts("memory comes and goes");
    return 0;
}
