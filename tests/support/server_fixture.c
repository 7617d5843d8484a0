#include "support/server_fixture.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of address space: little, so that many tests can run at once. */
#define RESERVE     "4G"
#define RUNNING_MAX 16

static struct ga_test_server *running[RUNNING_MAX]; /* to be cleaned up if the test ends early */
static pid_t owner;

static void object_name(const struct ga_test_server *server, const char *suffix, char *ret,
                        size_t bytes)
{
    snprintf(ret, bytes, "/goalloc.%s.%s", server->heap_name, suffix);
}

static bool remove_objects(const struct ga_test_server *server)
{
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    bool any = false;
    for (size_t i = 0; i < 3; i++) {
        char name[96];
        object_name(server, suffixes[i], name, sizeof(name));
        any = shm_unlink(name) == 0 || any;
    }
    return any;
}

/* Put now in the place of before among those running. */
static void note_running(const struct ga_test_server *before, struct ga_test_server *now)
{
    size_t i = 0;
    while (i < RUNNING_MAX && running[i] != before)
        i++;
    assert(i < RUNNING_MAX);
    running[i] = now;
}

/* End one in whatever state it is. */
static void end_by_force(const struct ga_test_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    remove_objects(server);
    ga_test_folder_remove(server->folder);
}

static void clean_up(void)
{
    for (size_t i = 0; i < RUNNING_MAX && getpid() == owner; i++) {
        if (running[i])
            end_by_force(running[i]);
        running[i] = NULL;
    }
}

static void clean_up_on_signal(int number)
{
    clean_up();
    signal(number, SIG_DFL);
    raise(number);
}

static void run_server(const struct ga_test_server *server, const char *limit, int ready_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    char fd[16];
    char reserve[32];
    snprintf(reserve, sizeof(reserve), "%" PRIu64, GA_TEST_RESERVE);
    snprintf(fd, sizeof(fd), "%d", ready_fd);
    execl(GOALLOCD_PATH, "goallocd", "--name", server->heap_name, "--socket", server->socket,
          "--ephemeral", "--limit", limit, "--reserve", reserve, "--ready-fd", fd, "--log-level",
          "warning", (char *)NULL);
    fprintf(stderr, "cannot start %s: %s\n", GOALLOCD_PATH, strerror(errno));
    _exit(127);
}

/* Start a server and wait until it serves. */
static bool launch(struct ga_test_server *server, const char *limit)
{
    int ready[2];
    if (pipe(ready) < 0)
        return false;
    server->pid = fork();
    if (server->pid == 0) {
        close(ready[0]);
        run_server(server, limit, ready[1]);
    }
    close(ready[1]);
    char answer[8] = "";
    ssize_t n = read(ready[0], answer, sizeof(answer) - 1);
    close(ready[0]);
    if (n > 0 && strcmp(answer, "READY\n") == 0)
        return true;
    fprintf(stderr, "goallocd did not become ready\n");
    return false;
}

bool ga_test_server_start(const char *limit, struct ga_test_server *ret)
{
    static unsigned count;
    if (!ga_test_folder_make(ret->folder))
        return false;
    snprintf(ret->heap_name, sizeof(ret->heap_name), "test-%d-%u", getpid(), count++);
    snprintf(ret->socket, sizeof(ret->socket), "%s/sock", ret->folder);
    if (owner != getpid()) {
        memset(running, 0, sizeof(running)); /* a child's copy: they are its parent's */
        atexit(clean_up);
        owner = getpid();
    }
    note_running(NULL, ret);
    signal(SIGINT, clean_up_on_signal);
    signal(SIGTERM, clean_up_on_signal);
    signal(SIGABRT, clean_up_on_signal);
    signal(SIGSEGV, clean_up_on_signal);
    signal(SIGBUS, clean_up_on_signal);
    signal(SIGALRM, clean_up_on_signal);

    if (launch(ret, limit))
        return true;
    note_running(ret, NULL);
    end_by_force(ret);
    return false;
}

void ga_test_server_kill(struct ga_test_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

bool ga_test_server_start_again(struct ga_test_server *server, const char *limit)
{
    return launch(server, limit);
}

bool ga_test_server_stop(struct ga_test_server *server)
{
    int status = 0;
    kill(server->pid, SIGTERM);
    bool ended = waitpid(server->pid, &status, 0) == server->pid;
    note_running(server, NULL);
    bool left = access(server->socket, F_OK) == 0;
    left = remove_objects(server) || left;
    ga_test_folder_remove(server->folder);
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0 && !left;
}
