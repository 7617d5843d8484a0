/* Heaps that were never made to their end hold nothing of anybody's: whatever a server leaves that
 * is killed at any system call of its start, the next one removes without being asked. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

static const char *heap;
static const char *path;

static bool serve(struct ga_daemon *daemon)
{
    const char *arguments[] = {"--name", heap, "--socket", path, "--reserve", "64M", NULL};
    return ga_daemon_start(daemon, 0, arguments);
}

/* A server starts, and says nothing against what it finds. */
static void expect_start(const char *after, int number)
{
    struct ga_daemon daemon;
    bool ready = serve(&daemon);
    CU_ASSERT(ready);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, ready ? SIGTERM : 0), 0);
    CU_ASSERT_PTR_NULL(strstr(daemon.text, "error"));
    CU_ASSERT_PTR_NULL(strstr(daemon.text, "warning"));
    if (!ready)
        fprintf(stderr, "after %s %d: %s", after, number, daemon.text);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

/* ---- killed at a system call ---- */

static void become(void)
{
    int silent = open("/dev/null", O_WRONLY);
    dup2(silent, STDERR_FILENO);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    execl(GOALLOCD_PATH, "goallocd", "--name", heap, "--socket", path, "--reserve", "64M",
          (char *)NULL);
    _exit(127);
}

static bool to_next_stop(pid_t pid)
{
    int status = 0;
    do {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid ||
            !WIFSTOPPED(status))
            return false;
    } while (WSTOPSIG(status) != (SIGTRAP | 0x80));
    return true;
}

static uint64_t magic_of_meta(void)
{
    uint64_t magic = 0;
    int fd = ga_daemon_open_object(heap, "meta", O_RDONLY);
    if (fd < 0 || pread(fd, &magic, sizeof(magic), 0) < 0)
        magic = 0;
    if (fd >= 0)
        close(fd);
    return magic;
}

/* Start a server and kill it so many stops after it has made its first object: before that, it may
 * wait for other servers as long as it likes. False where the heap is whole by then. */
static bool kill_at(int stop)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        become();
    CU_ASSERT_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD);
    while (!ga_daemon_left_objects(heap) && to_next_stop(pid))
        ;
    for (int n = 0; n < stop && to_next_stop(pid); n++)
        ;
    bool whole = magic_of_meta() == GA_META_MAGIC;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    return !whole;
}

static void test_killed_at_each_call(void)
{
    int stop = 0;
    for (; kill_at(stop); stop++) {
        CU_ASSERT(ga_daemon_left_objects(heap));
        expect_start("stop", stop);
    }
    CU_ASSERT(stop > 10);
    expect_start("the last stop", stop); /* that heap is whole, and is taken over */
}

/* ---- as they may look ---- */

static void make_object(const char *suffix, off_t nbytes, uint64_t word)
{
    int fd = ga_daemon_open_object(heap, suffix, O_RDWR | O_CREAT | O_EXCL);
    CU_ASSERT_FATAL(fd >= 0 && fchmod(fd, 0600) == 0 && ftruncate(fd, nbytes) == 0);
    CU_ASSERT(word == 0 || pwrite(fd, &word, sizeof(word), 0) == sizeof(word));
    close(fd);
}

static void test_as_they_may_look(void)
{
    make_object("meta", 0, 0);
    expect_start("an empty meta object", 0);
    make_object("meta", 1 << 20, 0);
    make_object("bits", 1 << 20, 0);
    make_object("heap", 0, 0);
    expect_start("objects without data", 0);
    make_object("meta", 1 << 20, GA_META_MAKING);
    make_object("bits", 1 << 20, GA_BITS_MAGIC);
    make_object("heap", 1 << 20, 1);
    expect_start("a restore that was killed", 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"killed at each system call of its start", test_killed_at_each_call},
        {"as they may look", test_as_they_may_look},
    };
    static char names[2][128];
    snprintf(names[0], sizeof(names[0]), "%s", ga_daemon_heap("unfinished"));
    snprintf(names[1], sizeof(names[1]), "%s", ga_daemon_path("sock"));
    heap = names[0];
    path = names[1];
    int failed = ga_test_main("unfinished", tests, sizeof(tests) / sizeof(tests[0]));
    int left = ga_daemon_clean_up();
    if (left != 0)
        fprintf(stderr, "%d objects were left\n", left);
    return failed || left != 0;
}
