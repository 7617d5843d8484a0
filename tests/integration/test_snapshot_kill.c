/* goallocctl snapshot is killed at each of its system calls: the old file is there or the new,
 * whole; and the server is quiet for nobody afterwards. So is goallocd --restore: what it leaves is
 * in nobody's way. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/snapshot_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
/* The last calls name the file and end: all of them are tried, of the others some. */
#define LAST_CALLS 90
#define STRIDE     20

static struct ga_daemon daemon_;
static char heap[64];
static char path[128];
static char file[128];

/* In a child that is traced by its parent. */
static void become(const char *program, const char *const *words)
{
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* which cannot be done to one who is traced */
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    execv(program, (char *const *)words);
    _exit(127);
}

static pid_t start_traced(const char *program, const char *const *words)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        become(program, words);
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD);
    return pid;
}

static pid_t start_tool(void)
{
    const char *const words[] = {"goallocctl", "--socket", path, "snapshot", "--quiet", file, NULL};
    return start_traced(GOALLOCCTL_PATH, words);
}

/* Let the tool go on to its next stop at a system call. False when it has ended, with its status.
 */
static bool to_next_stop(pid_t pid, int *ret_status)
{
    int forward = 0;
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)forward) < 0 ||
            waitpid(pid, ret_status, 0) != pid || !WIFSTOPPED(*ret_status))
            return false;
        if (WSTOPSIG(*ret_status) == (SIGTRAP | 0x80))
            return true;
        forward = WSTOPSIG(*ret_status) == SIGTRAP ? 0 : WSTOPSIG(*ret_status);
    }
}

/* How many stops there are in a run to its end; -1 where it does not succeed. */
static int count_stops(void)
{
    pid_t pid = start_tool();
    int status = 0;
    int n = 0;
    while (to_next_stop(pid, &status))
        n++;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? n : -1;
}

static void end_at(int stop, int signal_number)
{
    pid_t pid = start_tool();
    int status = 0;
    for (int n = 0; n < stop && to_next_stop(pid, &status); n++)
        ;
    kill(pid, signal_number);
    if (signal_number != SIGKILL)
        ptrace(PTRACE_DETACH, pid, NULL, (void *)(uintptr_t)signal_number);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    char temporary[192];
    snprintf(temporary, sizeof(temporary), "%s.tmp-%d", file, (int)pid);
    /* A signal that can be caught leaves nothing; after a kill there may be the half of a file, but
     * not under the name. */
    if (signal_number != SIGKILL)
        CU_ASSERT(access(temporary, F_OK) < 0);
    unlink(temporary);
}

/* Which file is there: 0 the old one, 1 a new one that is whole, -1 something else. */
static int which(const struct ga_file *old)
{
    struct ga_file now = ga_file_load(file);
    int answer = -1;
    if (now.nbytes == old->nbytes && memcmp(now.bytes, old->bytes, old->nbytes) == 0)
        answer = 0;
    else if (now.bytes && ga_file_is_whole(&now))
        answer = 1;
    ga_file_fini(&now);
    return answer;
}

/* At every stride-th stop, and at every last_stride-th of the last calls. */
static void try_each(int signal_number, int stride, int last_stride)
{
    int nstops = count_stops();
    CU_ASSERT_FATAL(nstops > LAST_CALLS);
    if (getenv("GOALLOC_LONG"))
        stride = last_stride = 1;
    struct ga_file old = ga_file_load(file);
    CU_ASSERT_FATAL(ga_file_is_whole(&old));
    int nnew = 0;
    int ntried = 0;
    for (int stop = 1; stop <= nstops; stop += stop < nstops - LAST_CALLS ? stride : last_stride) {
        end_at(stop, signal_number);
        int found = which(&old);
        CU_ASSERT(found >= 0);
        nnew += found;
        ntried++;
        if (found == 1)
            CU_ASSERT(ga_file_save(file, &old));
    }
    /* Some were too early, and some late enough. */
    CU_ASSERT(nnew > 0 && nnew < ntried);
    printf("%d of %d stops tried with signal %d: %d left the new file\n", ntried, nstops,
           signal_number, nnew);
    ga_file_fini(&old);
}

static void test_killed(void)
{
    try_each(SIGKILL, 2 * STRIDE, 1);
}

static void test_ended(void)
{
    try_each(SIGTERM, 3 * STRIDE, 4);
}

/* The server, after all that. */
static void test_server(void)
{
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify));
    struct ga_run run = {0};
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", file), 0);
    ga_run_fini(&run);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_FATAL(ga_fixture_restore(&daemon_, file, NULL, path));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify));
}

/* ---- a restore that is killed ---- */

/* Kill a server at a stop of its restore; false where it served before. */
static bool kill_restore(const char *name, const char *socket, int stop)
{
    const char *const words[] = {"goallocd", "--restore", file,   "--name",
                                 name,       "--socket",  socket, NULL};
    pid_t pid = start_traced(GOALLOCD_PATH, words);
    int status = 0;
    for (int n = 0; n < stop && to_next_stop(pid, &status); n++)
        ;
    bool early = access(socket, F_OK) < 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    unlink(socket);
    return early;
}

/* What a killed restore leaves is removed by the next without being asked, or is the whole heap,
 * for any server. */
static void test_restore_killed(void)
{
    char name[64];
    char socket[128];
    struct ga_run run = {0};
    int nhalf = 0;
    bool early = true;
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("again"));
    snprintf(socket, sizeof(socket), "%s", ga_daemon_path("again"));
    for (int stop = 2 * STRIDE; early; stop += 2 * STRIDE) {
        early = kill_restore(name, socket, stop);
        struct ga_daemon daemon;
        bool left = ga_daemon_left_objects(name);
        bool restored = ga_fixture_restore(&daemon, file, name, socket);
        nhalf += left && restored;
        if (!restored) {
            CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 1);
            CU_ASSERT(ga_daemon_said(&daemon, "is there already, left by a server"));
            CU_ASSERT_FATAL(ga_fixture_serve(&daemon, name, socket, NULL, NULL));
        }
        CU_ASSERT(ga_fixture_in_process(socket, ga_fixture_verify));
        CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
        CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", name), 0);
    }
    CU_ASSERT(nhalf > 0);
    printf("%d restores were cut off half-way\n", nhalf);
    ga_run_fini(&run);
}

/* Where processes must not be traced, this cannot be done. */
static bool may_trace(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
    int status = 0;
    return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"killed", test_killed},
        {"told to end", test_ended},
        {"the server afterwards", test_server},
        {"a restore that is killed", test_restore_killed},
    };
    if (!may_trace()) {
        puts("processes must not be traced here");
        return 77;
    }
    snprintf(heap, sizeof(heap), "%s", ga_daemon_heap("kill"));
    snprintf(path, sizeof(path), "%s", ga_daemon_path("kill"));
    snprintf(file, sizeof(file), "%s", ga_daemon_path("kill.snap"));
    int code = 1;
    if (ga_fixture_serve(&daemon_, heap, path, "--ephemeral", NULL) &&
        ga_fixture_in_process(path, ga_fixture_build))
        code = ga_test_main("integration.snapshot_kill", tests, COUNT(tests));
    ga_daemon_end(&daemon_, SIGKILL);
    ga_daemon_clean_up();
    return code;
}
