/* The runner's child processes: see process.h. All waiting is one poll on the child's pidfd, on
 * what the caller waits for besides, and on a signalfd, so no signal can slip in between a check
 * and a wait, and nothing has to be done in a signal handler. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int signal_fd = -1;

int ga_bench_process_init(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signal_fd < 0 ? -errno : 0;
}

/* The child's side of the fork; does not return. */
static void become(const struct ga_bench_command *command, pid_t runner)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* The runner may have died before the prctl. */
    if (getppid() != runner)
        _exit(127);
    if (command->out_fd >= 0 && dup2(command->out_fd, STDOUT_FILENO) < 0)
        _exit(127);
    if (command->err_fd >= 0 && dup2(command->err_fd, STDERR_FILENO) < 0)
        _exit(127);
    if (command->kept_fd >= 0 && fcntl(command->kept_fd, F_SETFD, 0) < 0)
        _exit(127);
    unsetenv("LD_PRELOAD");
    if (command->preload && setenv("LD_PRELOAD", command->preload, 1) < 0)
        _exit(127);
    /* execv takes char *const * for historical reasons and changes nothing. */
    execv(command->argv[0], (char *const *)(uintptr_t)command->argv);
    _exit(127);
}

int ga_bench_process_start(const struct ga_bench_command *command,
                           struct ga_bench_process *ret_process)
{
    pid_t runner = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(command, runner);
    /* Done on both sides: whoever comes first, the group exists before it is signalled. */
    setpgid(pid, pid);
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int err = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err;
    }
    *ret_process = (struct ga_bench_process){.pid = pid, .pidfd = pidfd};
    return 0;
}

int ga_bench_process_wait(const struct ga_bench_process *process, int fd, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = process->pidfd, .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
        {.fd = fd, .events = POLLIN},
    };
    int ready;
    do
        ready = poll(fds, 3, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -errno;
    if (fds[1].revents)
        return -EINTR;
    return ready == 0 ? -ETIMEDOUT : 0;
}

int ga_bench_process_end(struct ga_bench_process *process, int grace_ms)
{
    if (process->pid == 0)
        return 0;
    struct pollfd end = {.fd = process->pidfd, .events = POLLIN};
    if (grace_ms > 0 && poll(&end, 1, 0) == 0) {
        kill(-process->pid, SIGTERM);
        poll(&end, 1, grace_ms);
    }
    /* Before the leader is collected, for until then the group's number cannot be another's. */
    kill(-process->pid, SIGKILL);
    int status = 0;
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(process->pidfd);
    process->pid = 0;
    return status;
}
