/* What it costs a short program to begin and end: OS pages that are touched, beyond those that it
 * touches without the preload. Programs that live for a moment are many, in a shell script; each
 * page more is some microseconds for each of them. */
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"

/* As many as are good for, with a few to spare; they were 54 and 124 once. */
#define MOST_TO_BEGIN 38
#define MOST_TO_USE   84

#define RUNS 5

extern char **environ;

static void *(*volatile allocate)(size_t) = malloc;

/* Objects of many sizes, one of each. */
static void use_little(void)
{
    for (size_t size = 16; size <= 4096; size += size / 4) {
        char *p = allocate(size);
        CHECK(p);
        memset(p, 1, size);
    }
}

/* The page faults of this program, told to do what. */
static long faults_of(const char *self, const char *what)
{
    long least = INT32_MAX;
    for (int i = 0; i < RUNS; i++) {
        char *const arguments[] = {(char *)self, (char *)what, NULL};
        struct rusage usage;
        pid_t pid;
        int status;
        CHECK(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
        CHECK(wait4(pid, &status, 0, &usage) == pid && status == 0);
        least = usage.ru_minflt < least ? usage.ru_minflt : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        if (strcmp(argv[1], "use") == 0)
            use_little();
        return 0;
    }
    CHECK(getenv("LD_PRELOAD"));
    long begin = faults_of(argv[0], "begin");
    long use = faults_of(argv[0], "use");
    CHECK(unsetenv("LD_PRELOAD") == 0);
    begin -= faults_of(argv[0], "begin");
    use -= faults_of(argv[0], "use");
    fprintf(stderr, "to begin %ld pages more, to use a little %ld\n", begin, use);
    CHECK(begin <= MOST_TO_BEGIN);
    CHECK(use <= MOST_TO_USE);
    return 0;
}
