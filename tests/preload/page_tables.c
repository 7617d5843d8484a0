/* How many page tables the kernel has for a small program, beyond those without the preload: one
 * for each 2 MiB of address space that something lies in, and one for each GiB of those. Each costs
 * a fork some microseconds, and the end of a process. */
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Six are good for, and one is to spare; it was 13 once, and 10. With more memory than 32 GiB,
 * where the tables are twice as long, it is two more. */
#define MOST          7
#define MOST_OF_LARGE 9
#define LARGE         (INT64_C(32) << 30)
/* More where objects are sampled: their sites and samples lie elsewhere, which is three; it was
 * five where the index of the sites had a mapping of its own. */
#define MOST_TO_SAMPLE 4
/* Where everything lies differs from run to run, and where two tables begin is where one may end.
 */
#define RUNS 32

extern char **environ;

static void use_little(void)
{
    void *(*volatile allocate)(size_t) = malloc;
    for (size_t size = 16; size <= 4096; size += size / 4) {
        char *p = allocate(size);
        CHECK(p);
        memset(p, 1, size);
    }
}

/* Of this process. */
static int count_page_tables(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "re");
    CHECK(status);
    while (fgets(line, sizeof(line), status))
        if (strncmp(line, "VmPTE:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    (void)fclose(status);
    CHECK(kib >= 0);
    return (int)(kib / 4);
}

/* The least of some runs of this program. */
static int page_tables_of(char *self)
{
    char *const arguments[] = {self, (char *)"tell", NULL};
    int least = 256;
    for (int i = 0; i < RUNS; i++) {
        pid_t pid;
        int status;
        CHECK(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        least = WEXITSTATUS(status) < least ? WEXITSTATUS(status) : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        use_little();
        return count_page_tables();
    }
    CHECK(getenv("LD_PRELOAD"));
    int with = page_tables_of(argv[0]);
    CHECK(setenv("GOALLOC_PROFILE_RATE", "16", 1) == 0);
    int sampled = page_tables_of(argv[0]) - with;
    CHECK(unsetenv("LD_PRELOAD") == 0);
    int without = page_tables_of(argv[0]);
    fprintf(stderr, "%d page tables, without the preload %d; sampled, %d more\n", with, without,
            sampled);
    bool is_large = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) > LARGE;
    CHECK(with - without <= (is_large ? MOST_OF_LARGE : MOST));
    CHECK(sampled <= MOST_TO_SAMPLE);
    return 0;
}
