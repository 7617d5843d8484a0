/* Run a program with a library preloaded, and say what it and all that it started took.
 *
 *   measure_tree RESULT LIBRARY PROGRAM [ARGUMENT...]
 *
 * RESULT is a file, for a line of four numbers: nanoseconds by the clock, microseconds on a core
 * (user and system, of the program and of what it waited for), KiB that the largest of these
 * processes had resident at most, and page faults. An empty LIBRARY is none. Ends as the program
 * ends.
 *
 * It is small itself: what starts a program lends it its own size, until that has grown larger. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t us_of(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static _Noreturn void run(const char *library, char **program)
{
    if (library[0] != '\0')
        setenv("LD_PRELOAD", library, 1);
    execvp(program[0], program);
    perror(program[0]);
    _exit(127);
}

static int write_result(const char *path, int64_t ns, const struct rusage *usage)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return -errno;
    fprintf(file, "%lld %lld %ld %ld\n", (long long)ns,
            (long long)(us_of(usage->ru_utime) + us_of(usage->ru_stime)), usage->ru_maxrss,
            usage->ru_minflt + usage->ru_majflt);
    return fclose(file) == 0 ? 0 : -errno;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: measure_tree RESULT LIBRARY PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int64_t from_ns = now_ns();
    pid_t pid = fork();
    if (pid == 0)
        run(argv[2], argv + 3);
    int status;
    struct rusage usage;
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 ||
        write_result(argv[1], now_ns() - from_ns, &usage) < 0) {
        perror("measure_tree");
        return 125;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
