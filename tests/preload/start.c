/* What it costs a short program to begin and end: OS pages that are touched, beyond those that it
 * touches without the preload, and the parts that the library is mapped in. Programs that live for
 * a moment are many, in a shell script; each page more is some microseconds for each of them. */
#include <link.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"

/* As many as are good for, with a few to spare, since the kernel maps files by pieces that begin
 * anywhere: the same build has had 19 and 21 to begin. They were 54, 124 and 30 once, and 7 more to
 * use a little where a thread's classes did not lie together. */
#define MOST_TO_BEGIN  24
#define MOST_TO_USE    52
#define MOST_TO_FORK   15
#define MOST_TO_SAMPLE 24

#define RUNS          15
#define SIZE_OF_CHILD 4000

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

/* What a child of a shell does that is over soon: it needs a bit of memory, of a size of
 * which its parent has used one, and a span has two. */
static void fork_once(void)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 2; i++) {
            char *p = allocate(SIZE_OF_CHILD);
            CHECK(p);
            memset(p, 1, SIZE_OF_CHILD);
        }
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The page faults of this program, told to do what, and of its child. */
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

static void do_what(const char *what)
{
    if (strcmp(what, "begin") == 0)
        return;
    if (strcmp(what, "one") == 0) {
        CHECK(allocate(16));
        return;
    }
    use_little();
    if (strcmp(what, "fork") == 0)
        fork_once();
}

/* Each is a mapping of its own, made at each start and copied at each fork. */
static int count_segments(struct dl_phdr_info *object, size_t bytes, void *nsegments)
{
    (void)bytes;
    if (strstr(object->dlpi_name, "libgoalloc-malloc.so"))
        for (int i = 0; i < object->dlpi_phnum; i++)
            *(int *)nsegments += object->dlpi_phdr[i].p_type == PT_LOAD;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        do_what(argv[1]);
        return 0;
    }
    CHECK(getenv("LD_PRELOAD"));
    /* So that each run is as the last; where it is forbidden they differ by a few pages. */
    (void)personality(ADDR_NO_RANDOMIZE);
    int nsegments = 0;
    (void)dl_iterate_phdr(count_segments, &nsegments);
    CHECK(nsegments == 2); /* what may be run and read, and what may be written */
    long begin = faults_of(argv[0], "begin");
    long use = faults_of(argv[0], "use");
    long with_fork = faults_of(argv[0], "fork") - use;
    CHECK(setenv("GOALLOC_PROFILE_RATE", "1", 1) == 0);
    long with_sample = faults_of(argv[0], "one");
    CHECK(unsetenv("GOALLOC_PROFILE_RATE") == 0);
    with_sample -= faults_of(argv[0], "one");
    CHECK(unsetenv("LD_PRELOAD") == 0);
    begin -= faults_of(argv[0], "begin");
    long use_without = faults_of(argv[0], "use");
    use -= use_without;
    with_fork -= faults_of(argv[0], "fork") - use_without;
    fprintf(stderr, "to begin %ld pages more, to use a little %ld, to fork %ld, to sample %ld\n",
            begin, use, with_fork, with_sample);
    CHECK(begin <= MOST_TO_BEGIN);
    CHECK(use <= MOST_TO_USE);
    CHECK(with_fork <= MOST_TO_FORK);
    CHECK(with_sample <= MOST_TO_SAMPLE);
    return 0;
}
