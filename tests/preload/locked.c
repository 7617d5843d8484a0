/* A program that locks its memory, under a limit of what it may write (ulimit -d): what is locked
 * is there at once, so that little of the reservation may be such that it can be written. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

#define MOST_MIB 160u /* of 64 MiB of heap, its tables, and the program's own */
#define SKIPPED  77
#define N        1000
#define SIZE     5000

static void *(*volatile allocate)(size_t) = malloc;

static uint64_t writable_mib(void)
{
    char line[512];
    uint64_t bytes = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end = NULL;
        uint64_t from = strtoull(line, &end, 16);
        CHECK(*end == '-');
        uint64_t to = strtoull(end + 1, &end, 16);
        if (end[2] == 'w')
            bytes += to - from;
    }
    (void)fclose(maps);
    return bytes >> 20;
}

static void use_heap(void)
{
    static char *held[N];
    for (int i = 0; i < N; i++) {
        held[i] = allocate(SIZE);
        CHECK(held[i]);
        memset(held[i], i, SIZE);
    }
    for (int i = 0; i < N; i++) {
        CHECK(held[i][SIZE - 1] == (char)i);
        free(held[i]);
    }
}

int main(void)
{
    free(allocate(100));
    uint64_t writable = writable_mib();
    fprintf(stderr, "%u MiB may be written\n", (unsigned)writable);
    CHECK(writable <= MOST_MIB); /* before it is locked: more might be all that there is */
    if (mlockall(MCL_CURRENT) < 0) {
        CHECK(errno == EPERM || errno == ENOMEM);
        return SKIPPED;
    }
    use_heap();
    return 0;
}
