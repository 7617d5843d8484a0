/* goallocctl snapshot is killed at each of its system calls: the old file is there or the new,
 * whole; and the server is quiet for nobody afterwards, and a client that pauses for it goes on. So
 * is goallocd --restore: what it leaves is in nobody's way. And what has to be done at a certain
 * call of theirs, since they are stopped there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/puppet.h"
#include "integration/snapshot_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
/* The last calls name the file and end: all of them are tried, of the others some. */
#define LAST_CALLS 90
#define STRIDE     20

static struct ga_daemon daemon_;
static struct ga_puppet puppet; /* pauses whenever it is wanted */
static char heap[64];
static char path[128];
static char file[128];
static char errors[128]; /* where what is started next is to say what is wrong; empty: to us */

/* In a child that is traced by its parent. */
static void become(const char *program, const char *const *words)
{
    int fd = errors[0] ? open(errors, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
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

/* Let it go on to its end. Returns its exit code. */
static int finish(pid_t pid)
{
    int status = 0;
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A client allocates and frees although it has paused, while the tool copies: nothing is written,
 * and who it was is said. */
static void test_broken_word(void)
{
    struct ga_puppet other;
    char temporary[192];
    char who[64];
    int status = 0;
    CU_ASSERT_FATAL(ga_puppet_begin(path, GOALLOC_POLICY_KEEP, "other", &other));
    CU_ASSERT(ga_puppet_does(&other, 'm') && ga_puppet_does(&other, 'p'));
    struct ga_file old = ga_file_load(file);
    snprintf(errors, sizeof(errors), "%s", ga_daemon_path("errors"));
    pid_t pid = start_tool();
    snprintf(temporary, sizeof(temporary), "%s.tmp-%d", file, (int)pid);
    while (access(temporary, F_OK) < 0 && to_next_stop(pid, &status))
        ;
    CU_ASSERT(ga_puppet_does(&other, 'm'));
    CU_ASSERT_EQUAL(finish(pid), 1);
    CU_ASSERT_EQUAL(which(&old), 0);
    CU_ASSERT(access(temporary, F_OK) < 0);
    struct ga_file said = ga_file_load(errors);
    errors[0] = '\0';
    CU_ASSERT_FATAL(said.bytes != NULL);
    said.bytes[said.nbytes] = '\0';
    CU_ASSERT_PTR_NOT_NULL(
        strstr(said.bytes, "it was used by a client that had agreed to pause:\n"));
    snprintf(who, sizeof(who), "process %d (integration_snapshot", (int)other.pid);
    CU_ASSERT_PTR_NOT_NULL(strstr(said.bytes, who));
    snprintf(who, sizeof(who), "process %d (", (int)puppet.pid);
    CU_ASSERT_PTR_NULL(strstr(said.bytes, who));
    ga_file_fini(&said);
    ga_file_fini(&old);
    CU_ASSERT(ga_puppet_does(&other, 'r'));
    ga_puppet_end(&other, 0);
}

/* The server, and the client, after all that. */
static void test_server(void)
{
    ga_puppet_tell(&puppet, 'n');
    CU_ASSERT(ga_puppet_answers(&puppet)); /* it has always gone on */
    CU_ASSERT(ga_puppet_answers(&puppet));
    CU_ASSERT(ga_puppet_does(&puppet, 'd'));
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
            CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 3);
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

static bool has_memory(const char *name, const char *object)
{
    struct stat st = {0};
    int fd = ga_daemon_open_object(name, object, O_RDONLY);
    bool has = fd >= 0 && fstat(fd, &st) == 0 && st.st_blocks > 0;
    if (fd >= 0)
        close(fd);
    return has;
}

/* While a restore goes on, for however long, others see which addresses it is going to have. */
static void test_restore_seen(void)
{
    char name[64];
    char other[64];
    char socket[128];
    char base[32];
    struct ga_meta_header seen = {0};
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0); /* which has the same */
    struct ga_file bytes = ga_file_load(file);
    struct ga_snapshot_header header;
    CU_ASSERT_FATAL(ga_file_is_whole(&bytes));
    memcpy(&header, bytes.bytes, sizeof(header));
    ga_file_fini(&bytes);
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("slow"));
    snprintf(other, sizeof(other), "%s", ga_daemon_heap("beside"));
    snprintf(socket, sizeof(socket), "%s", ga_daemon_path("slow"));
    snprintf(base, sizeof(base), "0x%" PRIx64, header.base);
    const char *const words[] = {"goallocd", "--restore", file,   "--name",
                                 name,       "--socket",  socket, NULL};
    pid_t pid = start_traced(GOALLOCD_PATH, words);
    int status = 0;
    while (!has_memory(name, "bits") && to_next_stop(pid, &status))
        ; /* it fills in what is in the file */
    CU_ASSERT(has_memory(name, "bits"));
    CU_ASSERT(access(socket, F_OK) < 0);
    int fd = ga_daemon_open_object(name, "meta", O_RDONLY);
    CU_ASSERT(pread(fd, &seen, sizeof(seen), 0) == (ssize_t)sizeof(seen));
    close(fd);
    CU_ASSERT(seen.magic == GA_META_MAGIC && seen.state == GA_HEAP_IN_MAKING);
    CU_ASSERT(seen.base == header.base && seen.reserve_bytes == header.reserve_bytes);
    CU_ASSERT_EQUAL(seen.server_pid, (uint32_t)pid);
    struct ga_daemon daemon;
    CU_ASSERT(ga_fixture_serve(&daemon, other, ga_daemon_path("beside"), "--base", base));
    CU_ASSERT(ga_daemon_said(&daemon, "has some of the same addresses")); /* one of them at least */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    struct ga_run run = {0};
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", other), 0);
    ga_run_fini(&run);
    /* What is left is in nobody's way. */
    CU_ASSERT_FATAL(ga_fixture_restore(&daemon, file, name, socket));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
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
        {"a client that has paused, and goes on", test_broken_word},
        {"the server afterwards", test_server},
        {"a restore that is killed", test_restore_killed},
        {"a restore that takes long", test_restore_seen},
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
        ga_fixture_in_process(path, ga_fixture_build) &&
        ga_puppet_begin(path, GOALLOC_POLICY_KEEP, "puppet", &puppet)) {
        ga_puppet_tell(&puppet, 'a');
        code = ga_test_main("integration.snapshot_kill", tests, COUNT(tests));
        ga_puppet_end(&puppet, SIGKILL);
    }
    ga_daemon_end(&daemon_, SIGKILL);
    ga_daemon_clean_up();
    return code;
}
