/* What a fork costs a program that has so much on its heap: in objects of 1 KiB, each written.
 *
 *   fork_cost MIB
 *
 * Prints microseconds on a core in the parent, the median of 21 forks: the fork itself, and then
 * the writing of a word in each 64th object, which the kernel copies a page for while the child
 * lives. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OBJECT_BYTES 1024u
#define FORKS        21u
#define STRIDE       64u

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t **make_objects(size_t count)
{
    uint64_t **object = malloc(count * sizeof(*object));
    for (size_t i = 0; object && i < count; i++) {
        object[i] = malloc(OBJECT_BYTES);
        if (!object[i])
            return NULL;
        memset(object[i], (int)i, OBJECT_BYTES);
    }
    return object;
}

/* One fork, whose child lives until it is told to go. */
static int fork_once(uint64_t **object, size_t count, int64_t *ret_fork_ns, int64_t *ret_write_ns)
{
    int life[2];
    if (pipe(life) < 0)
        return -1;
    int64_t start_ns = thread_ns();
    pid_t pid = fork();
    int64_t forked_ns = thread_ns();
    if (pid == 0) {
        char end;
        close(life[1]);
        _exit(read(life[0], &end, 1) == 0 ? 0 : 1);
    }
    for (size_t i = 0; i < count; i += STRIDE)
        *object[i] += 1;
    int64_t written_ns = thread_ns();
    close(life[0]);
    close(life[1]);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return -1;
    *ret_fork_ns = forked_ns - start_ns;
    *ret_write_ns = written_ns - forked_ns;
    return 0;
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoul(argv[1], NULL, 10) * 1024 * 1024 / OBJECT_BYTES : 0;
    uint64_t **object = count ? make_objects(count) : NULL;
    if (!object) {
        fprintf(stderr, "usage: fork_cost MIB (of 1 or more, and there must be as much)\n");
        return 2;
    }
    int64_t fork_ns[FORKS];
    int64_t write_ns[FORKS];
    for (unsigned i = 0; i < FORKS; i++)
        if (fork_once(object, count, &fork_ns[i], &write_ns[i]) < 0) {
            perror("fork_cost");
            return 1;
        }
    qsort(fork_ns, FORKS, sizeof(*fork_ns), compare);
    qsort(write_ns, FORKS, sizeof(*write_ns), compare);
    printf("%.1f %.1f\n", (double)fork_ns[FORKS / 2] / 1e3, (double)write_ns[FORKS / 2] / 1e3);
    return 0;
}
