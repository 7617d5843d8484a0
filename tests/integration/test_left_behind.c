/* What a test leaves in shared memory that is killed goes by itself, and nobody else's. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cunit_main.h"
#include "support/janitor.h"

#define TRIES   2000
#define WAIT_US 10000

static void name_of(char name[64], pid_t pid, const char *rest)
{
    snprintf(name, 64, "/goalloc.test-%d%s", (int)pid, rest);
}

static bool make(pid_t pid, const char *rest)
{
    char name[64];
    name_of(name, pid, rest);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_there(pid_t pid, const char *rest)
{
    char name[64];
    name_of(name, pid, rest);
    int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void test_killed(void)
{
    char others[64];
    int status;
    pid_t child = fork();
    if (child == 0) {
        ga_janitor_start();
        bool made = make(getpid(), "-x.meta") && make(getpid(), "-x.heap") &&
                    make(getpid(), "0-x.meta"); /* as if of a process with a longer number */
        raise(made ? SIGKILL : SIGTERM);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int i = 0;
    while (i++ < TRIES && (is_there(child, "-x.meta") || is_there(child, "-x.heap")))
        usleep(WAIT_US);
    CU_ASSERT_FALSE(is_there(child, "-x.meta"));
    CU_ASSERT_FALSE(is_there(child, "-x.heap"));
    CU_ASSERT(is_there(child, "0-x.meta"));
    name_of(others, child, "0-x.meta");
    shm_unlink(others);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a test that is killed", test_killed},
    };
    return ga_test_main("left_behind", tests, sizeof(tests) / sizeof(tests[0]));
}
