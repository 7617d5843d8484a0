/* How a heap comes by its memory, and parts with it. */
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define MIB         ((size_t)1 << 20)
#define SMALL_BYTES 2000u
#define NSMALL      (64 * MIB / SMALL_BYTES)
#define LARGE_BYTES 900000u
#define NLARGE      64u

static void *(*volatile allocate)(size_t) = malloc;
static void *small[NSMALL];

/* Whether the mapping that p lies in has this flag, as /proc/self/smaps has it. */
static bool has_flag(const void *p, const char *flag)
{
    char line[512];
    bool within = false;
    bool found = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        uintptr_t from;
        uintptr_t to;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            within = from <= (uintptr_t)p && (uintptr_t)p < to;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    fclose(file);
    return found;
}

/* The kernel may give a large heap huge pages, but for the beginning; and none where memory was
 * given back. */
static void check_huge_pages(void)
{
    for (size_t i = 0; i < NSMALL; i++) {
        small[i] = allocate(SMALL_BYTES);
        CHECK(small[i]);
    }
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
        return; /* the kernel knows none */
    CHECK(!has_flag(small[0], " hg"));
    CHECK(has_flag(small[NSMALL - 1], " hg"));
    for (size_t i = NSMALL / 2; i < NSMALL; i++)
        free(small[i]);
    CHECK(malloc_trim(0) == 1);
    CHECK(!has_flag(small[NSMALL / 2 - 1], " hg"));
    CHECK(has_flag(small[NSMALL / 2 - 1], " nh"));
    /* It grows beyond what it was, of memory that comes in huge pages again. */
    char *beyond = allocate(64 * MIB);
    CHECK(beyond && has_flag(beyond + 64 * MIB - 1, " hg"));
    free(beyond);
    for (size_t i = 0; i < NSMALL / 2; i++)
        free(small[i]);
}

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

/* Most of it is freed, and no thread asks for more; but the program goes on, and after some seconds
 * the system has it back. */
static void check_unneeded(void)
{
    for (size_t i = 0; i < NSMALL; i++) {
        small[i] = allocate(SMALL_BYTES);
        CHECK(small[i]);
    }
    size_t most = mallinfo2().arena;
    CHECK(most > 64 * MIB);
    for (size_t i = 0; i < NSMALL; i++)
        free(small[i]);
    for (unsigned i = 0; mallinfo2().arena > most - 48 * MIB; i++) {
        CHECK(i < 60000);
        for (unsigned k = 0; k < 200; k++)
            small[k] = allocate(100);
        for (unsigned k = 0; k < 200; k++)
            free(small[k]);
        usleep(1000);
    }
}

int main(void)
{
    check_huge_pages();
    check_large();
    check_unneeded();
    puts("memory comes and goes");
    return 0;
}
