/* How many large mappings a program has with the preload, as its argument says: one, since a heap
 * and its tables are one mapping, and each costs a fork and the end of a process; none where the
 * system's malloc serves. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define LARGE (UINT64_C(64) << 20) /* as the smallest heap; no library of this program's is */

/* Where the system counts what may be written, parts of the heap are opened as they are needed. */
static bool is_counted(void)
{
    FILE *mode = fopen("/proc/sys/vm/overcommit_memory", "re");
    bool counted = mode && fgetc(mode) == '2';
    if (mode)
        (void)fclose(mode);
    return counted;
}

static int count_large_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end = NULL;
        uint64_t from = strtoull(line, &end, 16);
        CHECK(*end == '-');
        uint64_t to = strtoull(end + 1, NULL, 16);
        if (to - from >= LARGE && !strchr(line, '/')) /* a list of locales may be large as well */
            count++;
    }
    (void)fclose(maps);
    return count;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    free(malloc(100));
    int count = count_large_mappings();
    fprintf(stderr, "%d large mappings\n", count);
    CHECK(count == (int)strtol(argv[1], NULL, 10) || is_counted());
    return 0;
}
