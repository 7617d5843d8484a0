/* The server is a child of this process, in a session of its own, so that what is typed at the
 * terminal does not end it before the account is given. That this process ends it learns from the
 * kernel, by a SIGUSR1: whatever kills us, the program keeps its heap, as one that is traced goes
 * on when its tracer is killed, and the server ends with its last client and removes the heap. */
#include "client/ctl/run_server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/deadline.h"
#include "client/private_server.h"
#include "proto/error.h"
#include "shm/mapping.h"

#define EXIT_WRONG_USAGE 2
#define PATIENCE_MS      20000u
#define LOOK_NS          1000000L

static int refuse(int err, const char *what, const char *why)
{
    fprintf(stderr, "goallocctl: no heap for the program: %s: %s\n", what, why);
    return err;
}

static void make_names(struct ga_run_server *server, char file[static 64])
{
    snprintf(server->heap_name, sizeof(server->heap_name), "run-%d", (int)getpid());
    snprintf(file, 64, "goalloc-run-%d.sock", (int)getpid());
}

#define NARGUMENTS 20

/* What is not given stays as goallocd has it. */
static void make_arguments(const struct ga_run_options *options, const struct ga_run_server *server,
                           const char *ready_fd, const char *arguments[static NARGUMENTS])
{
    const struct {
        const char *option;
        const char *value;
    } given[] = {
        {"--name", server->heap_name},
        {"--socket", server->socket},
        {"--log-level", "warning"},
        {"--ready-fd", ready_fd},
        {"--limit", options->limit},
        {"--reserve", options->reserve},
        {"--gc-percent", options->gc_percent},
        {"--profile-rate", options->leak_check ? "1" : NULL},
    };
    int n = 0;
    arguments[n++] = "goallocd";
    arguments[n++] = "--ephemeral";
    arguments[n++] = "--replace"; /* what one of the same process number may have left */
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        if (!given[i].value)
            continue;
        arguments[n++] = given[i].option;
        arguments[n++] = given[i].value;
    }
    arguments[n] = NULL;
}

/* In the child. */
static void become_server(const char *program, const char *const *arguments, pid_t parent,
                          int ready_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    fcntl(ready_fd, F_SETFD, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGUSR1) < 0 || getppid() != parent)
        _exit(1);
    execv(program, (char *const *)(uintptr_t)arguments);
    fprintf(stderr, "goallocctl: %s cannot be run: %s\n", program, strerrordesc_np(errno));
    _exit(127);
}

/* Wait until it is ready, which is when it writes a line, or has ended. */
static int wait_until_ready(int fd, struct ga_run_server *server)
{
    char byte;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return 0;
    int status = 0;
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    server->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_WRONG_USAGE)
        return -EINVAL;
    return refuse(-ECHILD, "goallocd", "it does not start");
}

static int start(const char *program, const struct ga_run_options *options,
                 struct ga_run_server *server)
{
    int ready[2];
    char number[16];
    const char *arguments[NARGUMENTS];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return refuse(-errno, "a pipe", strerrordesc_np(errno));
    snprintf(number, sizeof(number), "%d", ready[1]);
    make_arguments(options, server, number, arguments);
    pid_t self = getpid();
    server->pid = fork();
    if (server->pid == 0)
        become_server(program, arguments, self, ready[1]);
    int err = server->pid < 0 ? -errno : 0;
    close(ready[1]);
    if (err < 0)
        refuse(err, "goallocd", strerrordesc_np(-err));
    else
        err = wait_until_ready(ready[0], server);
    close(ready[0]);
    return err;
}

int ga_run_server_start(const struct ga_run_options *options, struct ga_run_server *ret)
{
    char program[PATH_MAX];
    char file[64];
    struct ga_run_server server = {.pid = 0};
    make_names(&server, file);
    if (!ga_private_server_find(program))
        return refuse(-ENOENT, "goallocd", "it is not installed; $GOALLOC_SERVER may name it");
    int err = ga_address_beside_default(file, server.socket);
    if (err < 0)
        return refuse(err, "there is no folder for its socket", ga_error_text(err));
    err = start(program, options, &server);
    if (err == 0)
        *ret = server;
    return err;
}

/* One that was killed has left its heap; the name is ours alone. */
static void remove_rest(const struct ga_run_server *server)
{
    for (int object = GA_OBJECT_COUNT - 1; object >= 0; object--)
        ga_object_unlink(server->heap_name, (enum ga_object)object);
    unlink(server->socket);
}

/* One that is stopped, or hangs, is not waited for for ever. */
static void end_process(pid_t pid)
{
    struct timespec end = ga_deadline_in(PATIENCE_MS);
    kill(pid, SIGTERM);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (ga_deadline_left_ms(&end) == 0)
            kill(pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
}

void ga_run_server_end(struct ga_run_server *server)
{
    if (server->pid > 0)
        end_process(server->pid);
    server->pid = 0;
    remove_rest(server);
}
