/* Opening a channel: what is told to the server, what the library's thread is like, and the
 * sentence for each way in which it can go wrong. */
#include "client/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fake_server.h"
#include "proto/error.h"

#define NOBODY          65534
#define REMOVED_TRIES   2000
#define REMOVED_WAIT_US 10000

static struct fake_server server;

/* What the server saw. */
struct seen {
    uint32_t min_version, max_version;
    char client_name[128];
};

/* Open must fail with expected and a sentence that has the path and the words. */
static void check_refused(const char *path, uint32_t timeout_ms, int expected, const char *words)
{
    struct ga_channel_options options = {.timeout_ms = timeout_ms};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    int r = ga_channel_open(path, &options, error, &ch);
    if (r != expected || !strstr(error, words))
        printf("\n    got %d, \"%s\"", r, error);
    CU_ASSERT_EQUAL(r, expected);
    CU_ASSERT_PTR_NULL(ch);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, words));
    CU_ASSERT_EQUAL(strncmp(error, path, strlen(path) < 100 ? strlen(path) : 100), 0);
}

static void answer_hello(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    struct seen *seen = fs->data;
    if (message->body_case == GOALLOC__V1__ENVELOPE__BODY_HELLO) {
        seen->min_version = message->hello->min_version;
        seen->max_version = message->hello->max_version;
        snprintf(seen->client_name, sizeof(seen->client_name), "%s", message->hello->client_name);
        fake_welcome(fs, message->id, GA_PROTOCOL_VERSION_MAX);
    }
}

static void check_open(const char *client_name, const char *expected_name)
{
    struct seen seen = {0};
    fake_start(&server, answer_hello, &seen);
    struct ga_channel_options options = {.timeout_ms = 60000, .client_name = client_name};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    CU_ASSERT_EQUAL_FATAL(ga_channel_open(server.path, &options, error, &ch), 0);
    CU_ASSERT_STRING_EQUAL(ga_channel_heap_name(ch), "fake");
    CU_ASSERT_STRING_EQUAL(ga_channel_server_version(ch), "1.2.3");
    CU_ASSERT_EQUAL(fcntl(ga_channel_fd(ch), F_GETFD), FD_CLOEXEC);
    ga_channel_close(ch);
    fake_stop(&server);
    CU_ASSERT_EQUAL(seen.min_version, GA_PROTOCOL_VERSION_MIN);
    CU_ASSERT_EQUAL(seen.max_version, GA_PROTOCOL_VERSION_MAX);
    CU_ASSERT_STRING_EQUAL(seen.client_name, expected_name);
}

static void test_hello(void)
{
    check_open("a program", "a program");
    check_open(NULL, program_invocation_short_name);
    check_open("not \xff UTF-8", "not ? UTF-8");
    /* A long name is cut, here in the middle of a character. */
    check_open("12345678901234567890123456789012345678901234567890123456789012\xc3\xa4"
               "3",
               "12345678901234567890123456789012345678901234567890123456789012?");
    ga_channel_close(NULL);
}

static void test_nobody_there(void)
{
    fake_listen(&server, 8);
    char path[200];
    snprintf(path, sizeof(path), "%s/missing", server.directory);
    check_refused(path, 0, -ENOENT, "no such socket");
    snprintf(path, sizeof(path), "%s/socket/below", server.directory);
    check_refused(path, 0, -ENOENT, "not a directory");

    snprintf(path, sizeof(path), "%s/file", server.directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    check_refused(path, 0, -ECONNREFUSED, "not a socket");
    unlink(path);

    close(server.listen_fd);
    check_refused(server.path, 0, -ECONNREFUSED, "nobody listens there");
    server.listen_fd = -1;
    fake_unlisten(&server);
}

static void test_bad_path(void)
{
    char path[300];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = '\0';
    check_refused(path, 0, -ENAMETOOLONG, "108 bytes");
    path[108] = 'x';
    path[299] = '\0';
    check_refused(path, 0, -ENAMETOOLONG, "299 bytes");
    path[107] = '\0';
    check_refused(path, 0, -ENOENT, "no such socket");

    struct ga_channel_options options = {0};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    CU_ASSERT_EQUAL(ga_channel_open("", &options, error, &ch), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "empty"));
}

static void test_no_right(void)
{
    fake_listen(&server, 8);
    CU_ASSERT_EQUAL_FATAL(chmod(server.path, 0), 0);
    /* Root may do all; as somebody else this thread may not. */
    setfsuid(NOBODY);
    check_refused(server.path, 0, -EACCES, "no right to connect");
    setfsuid(geteuid());
    fake_unlisten(&server);
}

static void test_wrong_kind_of_socket(void)
{
    fake_listen(&server, 8);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/datagrams", server.directory);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    check_refused(address.sun_path, 0, -EPROTO, "does not speak goalloc's protocol");
    close(fd);
    unlink(address.sun_path);
    fake_unlisten(&server);
}

/* Nobody accepts: the first connection waits in the backlog for its Welcome and stays there, the
 * second cannot even connect. */
static void test_silent_server(void)
{
    fake_listen(&server, 0);
    check_refused(server.path, 50, -ETIMEDOUT, "did not answer in time");
    check_refused(server.path, 50, -ETIMEDOUT, "did not accept the connection in time");
    fake_unlisten(&server);
}

static void answer_newer_only(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    fake_failure(fs, message->id, ga_error_to_wire(-EPROTO),
                 (char *)"the server speaks protocol versions 2..3");
    fs->hang_up = true;
}

static void answer_version_9(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    fake_welcome(fs, message->id, 9);
}

static void answer_version_0(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    fake_welcome(fs, message->id, 0);
}

static void answer_other_id(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    fake_welcome(fs, message->id + 1, GA_PROTOCOL_VERSION_MAX);
}

static void answer_full(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    fake_failure(fs, message->id, ga_error_to_wire(-EAGAIN), (char *)"");
}

static void answer_http(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)message;
    fake_write(fs, text, sizeof(text) - 1);
}

static void answer_nonsense(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    static const uint8_t frame[] = {3, 0, 0, 0, 0xff, 0xff, 0xff};
    (void)message;
    fake_write(fs, frame, sizeof(frame));
}

static void answer_hang_up(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    (void)message;
    fs->hang_up = true;
}

static void check_answer(fake_answer_fn *answer, int expected, const char *words)
{
    fake_start(&server, answer, NULL);
    check_refused(server.path, 60000, expected, words);
    fake_stop(&server);
}

static void test_refusing_servers(void)
{
    check_answer(answer_newer_only, -EPROTO, "the server speaks protocol versions 2..3");
    check_answer(answer_newer_only, -EPROTO, "this library speaks protocol versions 1..1");
    check_answer(answer_version_9, -EPROTO, "the server speaks protocol version 9");
    check_answer(answer_version_0, -EPROTO, "the server speaks protocol version 0");
    check_answer(answer_full, -EAGAIN, ga_error_text(-EAGAIN));
    check_answer(answer_other_id, -EPROTO, "does not speak goalloc's protocol");
    check_answer(answer_http, -EPROTO, "does not speak goalloc's protocol");
    check_answer(answer_nonsense, -EPROTO, "does not speak goalloc's protocol");
    check_answer(answer_hang_up, -ENOTCONN, "ended the connection");
}

/* Read /proc/self/task/TID/name; empty when the thread has just ended. */
static void read_task(const char *tid, const char *name, char *ret_text, size_t capacity)
{
    char path[512];
    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, name);
    ret_text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    ret_text[fread(ret_text, 1, capacity - 1, file)] = '\0';
    fclose(file);
}

/* The mask of blocked signals of the library's thread; 0 when there is no such thread. A thread
 * takes its name some time after it has started, so this is asked until it is there. */
static unsigned long long find_blocked_signals(void)
{
    unsigned long long blocked = 0;
    DIR *tasks = opendir("/proc/self/task");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char text[4096];
        read_task(entry->d_name, "comm", text, sizeof(text));
        if (strcmp(text, "goalloc\n") != 0)
            continue;
        read_task(entry->d_name, "status", text, sizeof(text));
        const char *line = strstr(text, "SigBlk:");
        if (line)
            blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
    }
    closedir(tasks);
    return blocked;
}

static void test_thread(void)
{
    struct seen seen = {0};
    fake_start(&server, answer_hello, &seen);
    struct ga_channel_options options = {.timeout_ms = 60000};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CU_ASSERT_EQUAL_FATAL(ga_channel_open(server.path, &options, error, &ch), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);

    unsigned long long blocked = 0;
    for (int i = 0; i < 10000 && !blocked; i++) {
        blocked = find_blocked_signals();
        usleep(1000);
    }
    const int signals[] = {SIGINT, SIGTERM, SIGPIPE, SIGCHLD, SIGUSR1, SIGPROF, SIGRTMIN, SIGRTMAX};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        CU_ASSERT((blocked & (1ull << (signals[i] - 1))) != 0);
        CU_ASSERT_EQUAL(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
    ga_channel_close(ch);
    /* A thread that has been joined still shows up for a moment. */
    for (int i = 0; i < 10000 && find_blocked_signals(); i++)
        usleep(1000);
    CU_ASSERT_EQUAL(find_blocked_signals(), 0);
    fake_stop(&server);
}

static int count_fds(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    CU_ASSERT_PTR_NOT_NULL_FATAL(fds);
    while (readdir(fds))
        count++;
    closedir(fds);
    return count;
}

/* libuv keeps descriptors of its own from the first loop on, so one round goes before. */
static void test_nothing_left_open(void)
{
    check_open("first", "first");
    int before = count_fds();
    for (int i = 0; i < 5; i++) {
        check_open("again", "again");
        check_answer(answer_http, -EPROTO, "does not speak");
        check_refused("/dev/null/missing", 0, -ENOENT, "not a directory");
    }
    CU_ASSERT_EQUAL(count_fds(), before);
}

/* Of the tests themselves: the folder of one that is interrupted goes, soon. */
static void test_interrupted(void)
{
    int told[2];
    CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fake_listen(&server, 1);
        if (write(told[1], server.directory, sizeof(server.directory)) < 0)
            _exit(1);
        raise(SIGINT);
        _exit(1);
    }
    int status = 0;
    char folder[sizeof(server.directory)] = "";
    CU_ASSERT_EQUAL(read(told[0], folder, sizeof(folder)), (ssize_t)sizeof(folder));
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    CU_ASSERT_EQUAL(folder[0], '/');
    for (int i = 0; i < REMOVED_TRIES && access(folder, F_OK) == 0; i++)
        usleep(REMOVED_WAIT_US);
    CU_ASSERT(access(folder, F_OK) < 0);
    close(told[0]);
    close(told[1]);
}

int main(void)
{
    const struct ga_test tests[] = {
        {"hello and welcome", test_hello},
        {"nobody there", test_nobody_there},
        {"a path that cannot be", test_bad_path},
        {"no right to connect", test_no_right},
        {"another kind of socket", test_wrong_kind_of_socket},
        {"a server that says nothing", test_silent_server},
        {"servers that refuse or speak otherwise", test_refusing_servers},
        {"the library's thread", test_thread},
        {"nothing is left open", test_nothing_left_open},
        {"an interrupted test", test_interrupted},
    };
    return ga_test_main("client/channel: open", tests, sizeof(tests) / sizeof(tests[0]));
}
