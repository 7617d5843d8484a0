/* This process is the reaper of all that descends from it (PR_SET_CHILD_SUBREAPER): whose parent
 * ends becomes our child. So the family has ended when we have no child any more but the server;
 * which ones we have, the kernel lists. */
#include "client/ctl/run_family.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127
#define EXIT_SIGNAL     128

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
#define NFORWARDED (sizeof(forwarded) / sizeof(forwarded[0]))

static sigset_t mask_before;

static void make_set(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGCHLD);
    for (size_t i = 0; i < NFORWARDED; i++)
        sigaddset(ret, forwarded[i]);
}

void ga_run_family_block(void)
{
    sigset_t set;
    make_set(&set);
    sigprocmask(SIG_BLOCK, &set, &mask_before);
    signal(SIGCHLD, SIG_DFL); /* or nobody could be waited for */
}

/* ---- starting ---- */

/* In the child. What keeps it from running the program it writes to fd. */
static void become_program(char *const *program, const struct ga_run_variable *variables, int fd)
{
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    while (variables->name && setenv(variables->name, variables->value, 1) == 0)
        variables++;
    if (!variables->name)
        execvp(program[0], program);
    int err = errno;
    _exit(write(fd, &err, sizeof(err)) == sizeof(err) ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

/* Returns 0, or the errno of what kept the program from running. */
static int read_failure(int fd)
{
    int err = 0;
    ssize_t n;
    do
        n = read(fd, &err, sizeof(err));
    while (n < 0 && errno == EINTR);
    return n == sizeof(err) ? err : 0;
}

static int start(char *const *program, const struct ga_run_variable *variables,
                 struct ga_run_family *family)
{
    int failure[2];
    if (pipe2(failure, O_CLOEXEC) < 0)
        return -errno;
    family->program = fork();
    if (family->program == 0)
        become_program(program, variables, failure[1]);
    int err = family->program < 0 ? -errno : 0;
    close(failure[1]);
    int why = err < 0 ? 0 : read_failure(failure[0]);
    close(failure[0]);
    family->is_started = why == 0;
    family->status = why == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    if (why)
        fprintf(stderr, "goallocctl: '%s' cannot be run: %s\n", program[0], strerrordesc_np(why));
    return err;
}

/* ---- who is there ---- */

/* Send every child of this process but the server the signal, if it is not 0. Returns how many
 * there are. */
static unsigned each_child(pid_t server, int signal_number)
{
    unsigned n = 0;
    intmax_t pid;
    FILE *list = fopen("/proc/thread-self/children", "re");
    while (list && fscanf(list, "%jd", &pid) == 1) {
        if ((pid_t)pid == server)
            continue;
        n++;
        if (signal_number)
            kill((pid_t)pid, signal_number);
    }
    if (list)
        fclose(list);
    return n;
}

static void reap(struct ga_run_family *family, pid_t server, bool *program_gone)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        family->server_gone |= pid == server;
        if (pid != family->program)
            continue;
        *program_gone = true;
        if (!family->is_started)
            continue;
        family->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        family->status = family->signal ? EXIT_SIGNAL + family->signal : WEXITSTATUS(status);
    }
}

int ga_run_family(char *const *program, const struct ga_run_variable *variables, pid_t server,
                  struct ga_run_family *ret)
{
    struct ga_run_family family = {.program = 0};
    bool program_gone = false;
    siginfo_t info;
    sigset_t set;
    make_set(&set);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return -errno;
    int err = start(program, variables, &family);
    if (err < 0) {
        fprintf(stderr, "goallocctl: no process can be started: %s\n", strerrordesc_np(-err));
        return err;
    }
    for (;;) {
        reap(&family, server, &program_gone);
        if (program_gone && each_child(server, 0) == 0)
            break;
        int number = sigwaitinfo(&set, &info);
        /* The terminal has told all of its processes. */
        if (number <= 0 || number == SIGCHLD || info.si_code == SI_KERNEL)
            continue;
        if (program_gone)
            each_child(server, number);
        else
            kill(family.program, number);
    }
    *ret = family;
    return 0;
}
