/* Strings that grow, as a shell's do: all go from class to class, and what a class had is of use to
 * the next. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define STRINGS  1000u
#define STEP     16u
#define BYTES    512u /* of each, in the end: 500 KiB in all, of 8 MiB that there were in turn */
#define KIB_MOST 3000

static long resident_kib(void)
{
    long pages = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(void)
{
    static char *string[STRINGS];
    long before_kib = resident_kib();
    for (uint32_t bytes = STEP; bytes <= BYTES; bytes += STEP)
        for (uint32_t i = 0; i < STRINGS; i++) {
            string[i] = realloc(string[i], bytes);
            CHECK(string[i]);
            memset(string[i] + bytes - STEP, (int)i, STEP);
        }
    long grown_kib = resident_kib() - before_kib;
    for (uint32_t i = 0; i < STRINGS; i++) {
        for (uint32_t k = 0; k < BYTES; k++)
            CHECK(string[i][k] == (char)i);
        free(string[i]);
    }
    printf("grown by %ld KiB\n", grown_kib);
    fflush(stdout);
    CHECK(grown_kib < KIB_MOST);
    return 0;
}
