/* Of several processes that find nobody at the same time one starts the server: who holds the lock
 * on the file beside the socket. The others wait for the lock, and then find the server there.
 *
 * The server is forked twice, so that it is not a child of a program that knows nothing of it, and
 * is given none of the program's descriptors. Its stderr is a pipe, at the end of which it says
 * READY; what else it says is why it cannot start. */
#include "client/private_server.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/address.h"
#include "client/deadline.h"

#define START_TIMEOUT_MS 10000u
#define LOCK_WAIT_NS     10000000L
#define PROGRAM          "goallocd"

static const char ready[] = "READY\n";

bool ga_private_server_is_allowed(void)
{
    return getauxval(AT_SECURE) == 0;
}

/* ---- which program ---- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Beside this library, in LIB/../bin; of one that is part of a program that was found in $PATH, the
 * program's path is not known by its name. */
static bool find_beside(char ret_path[static PATH_MAX])
{
    static char here;
    char self[PATH_MAX];
    Dl_info info;
    if (dladdr(&here, &info) == 0 || !info.dli_fname)
        return false;
    const char *name = info.dli_fname;
    if (!strchr(name, '/')) {
        ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (bytes <= 0)
            return false;
        self[bytes] = '\0';
        name = self;
    }
    const char *slash = strrchr(name, '/');
    int length = slash ? (int)(slash - name) : 0;
    int n = snprintf(ret_path, PATH_MAX, "%.*s/../bin/" PROGRAM, length, name);
    return n > 0 && n < PATH_MAX && is_program(ret_path);
}

static bool find_in_path(char ret_path[static PATH_MAX])
{
    const char *folder = secure_getenv("PATH");
    while (folder && *folder) {
        size_t length = strcspn(folder, ":");
        int n = snprintf(ret_path, PATH_MAX, "%.*s/" PROGRAM, (int)length, folder);
        if (length > 0 && n > 0 && n < PATH_MAX && is_program(ret_path))
            return true;
        folder += length + (folder[length] == ':');
    }
    return false;
}

bool ga_private_server_find(char ret_path[static PATH_MAX])
{
    const char *given = secure_getenv("GOALLOC_SERVER");
    if (given && given[0] != '\0')
        return snprintf(ret_path, PATH_MAX, "%s", given) < PATH_MAX;
    if (find_beside(ret_path))
        return true;
    snprintf(ret_path, PATH_MAX, "%s", GOALLOC_SERVER_PATH);
    return is_program(ret_path) || find_in_path(ret_path);
}

/* ---- one at a time ---- */

/* Of the threads of this process, and of the processes. A child of fork that is born meanwhile has
 * a descriptor of the same lock: it closes it, and who unlocks does so for both. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int lock_fd = -1;

static void release_lock(void)
{
    int fd = atomic_exchange(&lock_fd, -1);
    if (fd >= 0) {
        flock(fd, LOCK_UN);
        close(fd);
    }
    pthread_mutex_unlock(&starting);
}

/* Wait a little, if there is time left. */
static bool has_time_left(const struct timespec *deadline)
{
    return ga_deadline_left_ms(deadline) != 0 &&
           (nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL) == 0 || errno == EINTR);
}

/* 0 or a negative errno. */
static int take_lock(const char *path, const struct timespec *deadline)
{
    char lock[GA_ADDRESS_BYTES + 8];
    snprintf(lock, sizeof(lock), "%s.lock", path);
    while (pthread_mutex_trylock(&starting) != 0)
        if (!has_time_left(deadline))
            return -ETIMEDOUT;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int err = fd < 0 ? errno : 0;
    atomic_store(&lock_fd, fd);
    while (err == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            err = errno;
        else if (!has_time_left(deadline))
            err = ETIMEDOUT;
    }
    if (err)
        release_lock();
    return -err;
}

void ga_private_server_in_child(void)
{
    int fd = atomic_exchange(&lock_fd, -1);
    if (fd >= 0)
        close(fd);
    pthread_mutex_init(&starting, NULL);
}

static bool somebody_listens(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    close(fd);
    return good;
}

/* ---- starting ---- */

/* In the child, which shares its memory's contents with a program of many threads: nothing but what
 * a signal handler may do. */
static void become_server(const char *program, const char *path, int log_fd)
{
    char *const argv[] = {(char *)PROGRAM,       (char *)"--private",  (char *)"--socket",
                          (char *)path,          (char *)"--ready-fd", (char *)"2",
                          (char *)"--log-level", (char *)"warning",    NULL};
    if (setsid() < 0 || _Fork() != 0)
        _exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    if (chdir("/") == 0)
        execv(program, argv);
    static const char failed[] = "it cannot be run\n";
    if (write(STDERR_FILENO, failed, sizeof(failed) - 1) < 0)
        _exit(126);
    _exit(127);
}

static int fork_server(const char *program, const char *path, int *ret_log_fd)
{
    int log[2];
    if (pipe2(log, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = _Fork();
    if (pid == 0)
        become_server(program, path, log[1]);
    int r = pid < 0 ? -errno : 0;
    close(log[1]);
    if (r < 0) {
        close(log[0]);
        return r;
    }
    /* A program that takes its children's ends by itself may have been faster. */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *ret_log_fd = log[0];
    return 0;
}

/* Read what the server says until it closes its end. Returns its length. */
static size_t read_log(int fd, const struct timespec *deadline, char *text, size_t text_bytes)
{
    size_t length = 0;
    struct pollfd more = {.fd = fd, .events = POLLIN};
    while (length + 1 < text_bytes) {
        int left_ms = ga_deadline_left_ms(deadline);
        int n_ready = left_ms > 0 ? poll(&more, 1, left_ms) : 0;
        if (n_ready < 0 && errno == EINTR)
            continue;
        ssize_t n = n_ready > 0 ? read(fd, text + length, text_bytes - 1 - length) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    text[length] = '\0';
    return length;
}

static bool says_ready(const char *text, size_t length)
{
    size_t want = sizeof(ready) - 1;
    return length >= want && memcmp(text + length - want, ready, want) == 0;
}

/* The last line that the server has said, without what stands before each. */
static const char *last_line(char *text, size_t length)
{
    static const char prefix[] = "goallocd: error: ";
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    const char *newline = strrchr(text, '\n');
    const char *line = newline ? newline + 1 : text;
    if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
        line += sizeof(prefix) - 1;
    return line[0] != '\0' ? line : "it did not say why";
}

static int start(const char *path, const struct timespec *deadline,
                 char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    char program[PATH_MAX] = "";
    if (!ga_private_server_find(program)) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: nobody listens there, and " PROGRAM " is not installed to be started", path);
        return -ENOENT;
    }
    int log_fd = -1;
    int r = fork_server(program, path, &log_fd);
    if (r < 0) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: nobody listens there, and no process can be started: %s", path,
                 strerrordesc_np(-r));
        return r;
    }
    char text[512] = "";
    size_t length = read_log(log_fd, deadline, text, sizeof(text));
    close(log_fd);
    if (says_ready(text, length))
        return 0;
    snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
             "%s: nobody listens there, and %.64s does not start: %.256s", path, program,
             last_line(text, length));
    return -ECONNREFUSED;
}

int ga_private_server_start(const char *path, char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    struct timespec deadline = ga_deadline_in(START_TIMEOUT_MS);
    int r = take_lock(path, &deadline);
    if (r < 0) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: nobody listens there, and a server cannot be started: %s.lock: %s", path,
                 path, strerrordesc_np(-r));
        return r;
    }
    r = somebody_listens(path) ? 0 : start(path, &deadline, ret_error);
    release_lock();
    return r;
}
