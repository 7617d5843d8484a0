/* A program that locks its memory. What it has mapped is in memory then; of the heap's reservation,
 * which is longer than memory may be, what was ever used. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define MOST_MIB   64u /* resident: nothing as long as the smallest reservation */
#define OTHER_MIB  8u
#define SKIPPED    77
#define N          1000
#define SIZE       5000
#define OS_PAGE    4096u
#define STATUS_MAX 8192u

static void *(*volatile allocate)(size_t) = malloc;

/* Should the reservation be put into memory after all, it is this process that ends for that. */
static void be_the_first_to_end(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, "1000", 4) == 4);
    CHECK(close(fd) == 0);
}

static uint64_t mib_of(const char *field)
{
    char text[STATUS_MAX];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    CHECK(n > 0 && close(fd) == 0);
    text[n] = '\0';
    const char *found = strstr(text, field);
    CHECK(found);
    return strtoull(found + strlen(field), NULL, 10) >> 10;
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

static char *map_other(void)
{
    char *other =
        mmap(NULL, OTHER_MIB << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(other != MAP_FAILED);
    return other;
}

static bool is_in_memory(char *other)
{
    static unsigned char pages[(OTHER_MIB << 20) / OS_PAGE];
    CHECK(mincore(other, OTHER_MIB << 20, pages) == 0);
    for (size_t i = 0; i < sizeof(pages); i++)
        if ((pages[i] & 1) == 0)
            return false;
    return true;
}

int main(void)
{
    be_the_first_to_end();
    free(allocate(100));
    char *before = map_other();
    CHECK(!is_in_memory(before));
    errno = 0;
    if (mlockall(MCL_CURRENT) < 0) {
        CHECK(errno == EPERM || errno == ENOMEM);
        return SKIPPED;
    }
    CHECK(errno == 0);
    CHECK(is_in_memory(before));
    use_heap();
    char *between = map_other();
    CHECK(!is_in_memory(between));
    CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
    CHECK(is_in_memory(between));
    CHECK(is_in_memory(map_other()));
    use_heap();
    fprintf(stderr, "%u MiB resident, %u MiB locked\n", (unsigned)mib_of("\nVmRSS:"),
            (unsigned)mib_of("\nVmLck:"));
    CHECK(mib_of("\nVmRSS:") <= MOST_MIB);
    CHECK(mib_of("\nVmLck:") >= 3 * OTHER_MIB);
    CHECK(munlockall() == 0);
    return 0;
}
