/* The daemon dies with the test (PR_SET_PDEATHSIG), and its output is a pipe that is read when the
 * log is asked for; it is small enough to fit in the pipe. */
#include "integration/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"

#define TEXTS         8
#define TEXT_BYTES    128
#define ARGUMENTS_MAX 32
#define READY_FD      9
#define SILENCE_MS    20000
#define OBJECT_SUFFIX 3

static char folder[GA_TEST_FOLDER_BYTES];

/* The next of a few buffers, so that several results can be used in one call. */
static char *next_text(void)
{
    static char texts[TEXTS][TEXT_BYTES];
    static unsigned next;
    return texts[next++ % TEXTS];
}

const char *ga_daemon_folder(void)
{
    if (folder[0])
        return folder;
    if (!ga_test_folder_make(folder)) {
        perror("no folder");
        exit(2);
    }
    return folder;
}

const char *ga_daemon_path(const char *file)
{
    char *text = next_text();
    snprintf(text, TEXT_BYTES, "%s/%s", ga_daemon_folder(), file);
    return text;
}

const char *ga_daemon_heap(const char *suffix)
{
    char *text = next_text();
    snprintf(text, TEXT_BYTES, "test-%d-%s", (int)getpid(), suffix);
    return text;
}

/* In the child. The program is opened before the user changes, since its folder may be closed to
 * others. */
static void become(const struct ga_daemon_setup *setup, const int log[2], const int ready[2],
                   const char *const *arguments)
{
    static char ready_number[2];
    int ready_fd = setup->ready_fd ? setup->ready_fd : READY_FD;
    ready_number[0] = (char)('0' + ready_fd);
    char *argv[ARGUMENTS_MAX + 5] = {"goallocd"};
    size_t n = 1;
    while (*arguments && n <= ARGUMENTS_MAX)
        argv[n++] = (char *)*arguments++;
    if (!setup->keep)
        argv[n++] = "--ephemeral";
    argv[n++] = "--ready-fd";
    argv[n] = ready_number;
    int program = open(GOALLOCD_PATH, O_RDONLY | O_CLOEXEC);
    dup2(log[1], STDERR_FILENO);
    dup2(log[1], STDOUT_FILENO);
    if (setup->closed_stdio)
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
            close(fd);
    dup2(ready[1], ready_fd);
    struct stat st;
    char stream[64];
    if (setup->journal && fstat(STDERR_FILENO, &st) == 0) {
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
    }
    struct rlimit limit = {.rlim_cur = setup->descriptors, .rlim_max = setup->descriptors};
    if (setup->descriptors != 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
        _exit(126);
    if (setup->uid != 0 && (setgid(setup->uid) < 0 || setuid(setup->uid) < 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (program >= 0)
        fexecve(program, argv, environ);
    _exit(127);
}

/* A pipe whose ends are far from the numbers that the child uses. */
static bool make_pipe(int ret_ends[2])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        ret_ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 100);
        close(ends[i]);
    }
    return ret_ends[0] >= 0 && ret_ends[1] >= 0;
}

bool ga_daemon_launch(struct ga_daemon *daemon, const struct ga_daemon_setup *setup,
                      const char *const *arguments)
{
    int log[2];
    int ready[2];
    *daemon = (struct ga_daemon){.pid = -1, .log = -1, .ready = -1};
    if (!make_pipe(log) || !make_pipe(ready))
        return false;
    daemon->pid = fork();
    if (daemon->pid == 0)
        become(setup, log, ready, arguments);
    close(log[1]);
    close(ready[1]);
    daemon->log = log[0];
    daemon->ready = ready[0];
    fcntl(daemon->log, F_SETFL, O_NONBLOCK);
    return daemon->pid > 0;
}

/* The server closes its end when it is ready. Where that end is its stderr too, log lines come
 * first. */
bool ga_daemon_wait(struct ga_daemon *daemon)
{
    static const char ready[] = "READY\n";
    char answer[1024];
    size_t length = 0;
    struct pollfd more = {.fd = daemon->ready, .events = POLLIN};
    while (length < sizeof(answer) && poll(&more, 1, SILENCE_MS) > 0) {
        ssize_t n = read(daemon->ready, answer + length, sizeof(answer) - length);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    close(daemon->ready);
    daemon->ready = -1;
    return length >= strlen(ready) &&
           memcmp(answer + length - strlen(ready), ready, strlen(ready)) == 0;
}

bool ga_daemon_start(struct ga_daemon *daemon, uid_t uid, const char *const *arguments)
{
    struct ga_daemon_setup setup = {.uid = uid};
    return ga_daemon_launch(daemon, &setup, arguments) && ga_daemon_wait(daemon);
}

static void read_log(struct ga_daemon *daemon)
{
    size_t room;
    while ((room = sizeof(daemon->text) - 1 - daemon->text_bytes) > 0) {
        ssize_t n = read(daemon->log, daemon->text + daemon->text_bytes, room);
        if (n <= 0)
            break;
        daemon->text_bytes += (size_t)n;
    }
    daemon->text[daemon->text_bytes] = '\0';
}

bool ga_daemon_said(struct ga_daemon *daemon, const char *needle)
{
    read_log(daemon);
    return strstr(daemon->text, needle) != NULL;
}

static int wait_for_end(pid_t pid)
{
    int status = 0;
    for (int i = 0; i < SILENCE_MS; i++) {
        if (waitpid(pid, &status, WNOHANG) != 0)
            return status;
        usleep(1000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return status;
}

int ga_daemon_end(struct ga_daemon *daemon, int signal_number)
{
    if (daemon->pid <= 0)
        return -1;
    if (signal_number)
        kill(daemon->pid, signal_number);
    int status = wait_for_end(daemon->pid);
    read_log(daemon);
    close(daemon->log);
    if (daemon->ready >= 0)
        close(daemon->ready);
    daemon->pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static const char *const suffixes[OBJECT_SUFFIX] = {"meta", "bits", "heap"};

int ga_daemon_open_object(const char *heap, const char *suffix, int flags)
{
    char name[TEXT_BYTES + 16];
    snprintf(name, sizeof(name), "/goalloc.%s.%s", heap, suffix);
    return shm_open(name, flags | O_CLOEXEC, 0600);
}

bool ga_daemon_left_objects(const char *heap)
{
    for (int i = 0; i < OBJECT_SUFFIX; i++) {
        int fd = ga_daemon_open_object(heap, suffixes[i], O_RDONLY);
        if (fd >= 0) {
            close(fd);
            return true;
        }
    }
    return false;
}

static int remove_objects(const char *prefix)
{
    int removed = 0;
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && shm_unlink(entry->d_name) == 0)
            removed++;
    if (directory)
        closedir(directory);
    return removed;
}

int ga_daemon_clean_up(void)
{
    char prefix[TEXT_BYTES];
    snprintf(prefix, sizeof(prefix), "goalloc.test-%d-", (int)getpid());
    int removed = remove_objects(prefix);
    if (folder[0])
        ga_test_folder_remove(folder);
    folder[0] = '\0';
    return removed;
}
