/* Events: what happens is told to who watches, in its order; who does not read is told how much was
 * left out, and holds nobody up; goallocctl watch; and the log of the same in JSON, and in
 * journald's own protocol. */
#include <errno.h>
#include <goalloc/goalloc.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/child.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/wire.h"
#include "proto/event.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"

#define LARGE_BYTES (UINT64_C(2) << 20) /* what costs a lease each time */

static struct ga_daemon daemon_;
static const char *path;
static bool to_journal;

static bool start_with(const char *option, const char *value, bool keep)
{
    struct ga_daemon_setup setup = {.keep = keep, .journal = to_journal};
    path = ga_daemon_path("events.sock");
    const char *arguments[] = {"--name",      ga_daemon_heap("events"),
                               "--socket",    path,
                               "--reserve",   "64M",
                               "--limit",     "32M",
                               "--log-level", "warning",
                               option,        value,
                               NULL};
    return ga_daemon_launch(&daemon_, &setup, arguments) && ga_daemon_wait(&daemon_);
}

static bool start(void)
{
    return start_with(NULL, NULL, false);
}

/* ---- by hand ---- */

static bool say_watch(struct ga_wire *wire, uint64_t kinds, uint32_t pid)
{
    Goalloc__V1__Watch watch = GOALLOC__V1__WATCH__INIT;
    watch.kinds = kinds;
    watch.pid = pid;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_WATCH, &watch);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE;
}

static bool open_watching(struct ga_wire *wire, uint64_t kinds, uint32_t pid)
{
    return ga_wire_open_greeted(wire, path) && say_watch(wire, kinds, pid);
}

/* The kinds of the next events, as a line of names; until one is of the last kind. Of several of
 * one kind in a row, one: how often a client asks before it gives up is its own affair. */
static uint32_t last_pid; /* whose the last of them was */
static void read_kinds(struct ga_wire *wire, enum ga_event_kind last, char *ret, size_t bytes)
{
    ret[0] = '\0';
    uint32_t before = GA_EVENT_COUNT;
    for (bool ended = false; !ended;) {
        const Goalloc__V1__Envelope *message = ga_wire_receive(wire);
        if (!message || message->body_case != GOALLOC__V1__ENVELOPE__BODY_EVENTS)
            return;
        CU_ASSERT_EQUAL(message->events->lost, 0);
        for (size_t i = 0; i < message->events->n_events; i++) {
            const Goalloc__V1__Event *event = message->events->events[i];
            size_t length = strlen(ret);
            if (event->kind == before)
                continue;
            before = event->kind;
            last_pid = event->pid;
            snprintf(ret + length, bytes - length, "%s%s", length ? " " : "",
                     ga_event_name(event->kind));
            ended |= event->kind == last;
        }
    }
}

/* In a process of its own, so that attach and detach are its own. false_free: one that is refused.
 */
static void use(bool detach)
{
    pid_t child = fork();
    if (child == 0) {
        struct goalloc_heap *heap;
        if (goalloc_attach(path, NULL, &heap) < 0)
            _exit(1);
        char *p = goalloc_malloc(heap, LARGE_BYTES);
        goalloc_free(heap, p);
        (void)!freopen("/dev/null", "w", stderr);
        goalloc_free(heap, p + 16);
        if (goalloc_malloc(heap, 16 * LARGE_BYTES))
            _exit(2);
        if (detach)
            goalloc_detach(heap);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

static void test_told_in_order(void)
{
    CU_ASSERT_FATAL(start());
    struct ga_wire wire;
    CU_ASSERT_FATAL(open_watching(&wire, GA_EVENTS_ALL, 0));
    char kinds[1024];
    use(true);
    read_kinds(&wire, GA_EVENT_DETACH, kinds, sizeof(kinds));
    CU_ASSERT_STRING_EQUAL(kinds, "attach grow lease bad-free refusal detach");
    CU_ASSERT_FATAL(say_watch(&wire, 1 << GA_EVENT_ATTACH | 1 << GA_EVENT_DEATH, 0));
    use(false);
    read_kinds(&wire, GA_EVENT_DEATH, kinds, sizeof(kinds));
    CU_ASSERT_STRING_EQUAL(kinds, "attach death");
    /* Of this process there is nothing, whatever others do. */
    CU_ASSERT_FATAL(say_watch(&wire, GA_EVENTS_ALL, (uint32_t)getpid()));
    use(true);
    struct ga_wire own;
    CU_ASSERT_FATAL(ga_wire_open_attached(&own, path));
    read_kinds(&wire, GA_EVENT_ATTACH, kinds, sizeof(kinds));
    CU_ASSERT_STRING_EQUAL(kinds, "attach");
    CU_ASSERT_EQUAL(last_pid, (uint32_t)getpid());
    ga_wire_close(&own);
    ga_wire_close(&wire);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
}

static uint64_t resident_kib(pid_t pid)
{
    char line[256];
    uint64_t kib = 0;
    snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
    FILE *status = fopen(line, "r");
    while (status && fgets(line, sizeof(line), status))
        if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

/* Many more events than the socket takes. */
#define MANY 12000u

/* ThreadSanitizer keeps notes of all that is read and written. */
#ifdef __SANITIZE_THREAD__
#define RESIDENT_IS_OURS false
#else
#define RESIDENT_IS_OURS true
#endif

static void test_slow_reader(void)
{
    CU_ASSERT_FATAL(start());
    struct ga_wire wire;
    CU_ASSERT_FATAL(open_watching(&wire, 1 << GA_EVENT_LEASE, 0));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(path, NULL, &heap), 0);
    uint64_t before_kib = resident_kib(daemon_.pid);
    for (unsigned i = 0; i < MANY; i++) {
        void *p = goalloc_malloc(heap, LARGE_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        goalloc_free(heap, p);
    }
    CU_ASSERT(!RESIDENT_IS_OURS || resident_kib(daemon_.pid) < before_kib + 1024);
    uint64_t told = 0;
    uint64_t lost = 0;
    uint64_t time_us = 0;
    while (told + lost < MANY) {
        const Goalloc__V1__Envelope *message = ga_wire_receive(&wire);
        CU_ASSERT_PTR_NOT_NULL_FATAL(message);
        CU_ASSERT_EQUAL_FATAL(message->body_case, GOALLOC__V1__ENVELOPE__BODY_EVENTS);
        lost += message->events->lost;
        told += message->events->n_events;
        for (size_t i = 0; i < message->events->n_events; i++) {
            CU_ASSERT(message->events->events[i]->time_us >= time_us);
            time_us = message->events->events[i]->time_us;
        }
    }
    CU_ASSERT_EQUAL(told + lost, MANY);
    CU_ASSERT(told > 0);
    CU_ASSERT(lost > 0);
    goalloc_detach(heap);
    ga_wire_close(&wire);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
}

/* Who only watches does not keep it. */
static void test_private_server(void)
{
    CU_ASSERT_FATAL(start_with("--private", NULL, false));
    struct ga_wire wire;
    CU_ASSERT_FATAL(open_watching(&wire, GA_EVENTS_ALL, 0));
    char kinds[1024];
    use(true);
    read_kinds(&wire, GA_EVENT_DETACH, kinds, sizeof(kinds));
    CU_ASSERT_STRING_EQUAL(kinds, "attach grow lease bad-free refusal detach");
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, 0), 0); /* by itself */
    CU_ASSERT(ga_wire_is_ended(&wire));
    ga_wire_close(&wire);
}

/* ---- goallocctl watch ---- */

static bool start_ctl(struct ga_child *child, const char *first, const char *second,
                      const char *third)
{
    const char *arguments[] = {"--socket", path, "watch", first, second, third, NULL};
    return ga_child_start(child, GOALLOCCTL_PATH, arguments);
}

/* Until it watches: it says nothing before something happens. */
static void await_watch(struct ga_child *child)
{
    for (int tries = 0; tries < 200 && !ga_child_has_said(child, "attach"); tries++) {
        use(true);
        usleep(50000);
    }
}

static void test_ctl_text(void)
{
    CU_ASSERT_FATAL(start_with(NULL, NULL, true));
    struct ga_child child = {0};
    size_t at = 0;
    CU_ASSERT_FATAL(start_ctl(&child, NULL, NULL, NULL));
    await_watch(&child);
    CU_ASSERT(ga_child_says(&child, "goalloc_free(0x", &at));
    CU_ASSERT(ga_child_says(&child, "is refused: ", &at));
    CU_ASSERT(ga_child_says(&child, ", has detached\n", &at));
    CU_ASSERT_PTR_NULL(strstr(child.text, "leases")); /* not asked for */

    /* Over a restart of the server. */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    CU_ASSERT(ga_child_says(&child, "the server has ended; the next one is waited for\n", &at));
    CU_ASSERT_FATAL(start_with(NULL, NULL, false));
    CU_ASSERT(ga_child_says(&child, "serves heap '", &at));
    use(false);
    CU_ASSERT(ga_child_says(&child, ", attaches, for user ", &at));
    CU_ASSERT(ga_child_says(&child, ", has ended\n", &at));
    CU_ASSERT_EQUAL(ga_child_end(&child, SIGINT), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(child.text[child.text_bytes - 1], '\n');
    free(child.text);
}

static void test_ctl_json(void)
{
    CU_ASSERT_FATAL(start());
    struct ga_child child = {0};
    size_t at = 0;
    CU_ASSERT_FATAL(start_ctl(&child, "--json", "all", NULL));
    await_watch(&child);
    CU_ASSERT(ga_child_says(&child, "\"event\": \"lease\"", &at));
    CU_ASSERT(ga_child_says(&child, "\"event\": \"detach\"", &at));
    CU_ASSERT_EQUAL(ga_child_end(&child, SIGTERM), 0);
    unsigned nlines = 0;
    for (char *line = strtok(child.text, "\n"); line; line = strtok(NULL, "\n"), nlines++) {
        CU_ASSERT(ga_json_is_valid(line));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"time\": \"20"));
    }
    CU_ASSERT(nlines >= 6);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    free(child.text);
}

static int run_ctl(struct ga_child *child, const char *const *arguments)
{
    CU_ASSERT_FATAL(ga_child_start(child, GOALLOCCTL_PATH, arguments));
    return ga_child_end(child, 0);
}

static void test_ctl_refusals(void)
{
    struct ga_child child = {0};
    const char *unknown[] = {"watch", "frees", NULL};
    CU_ASSERT_EQUAL(run_ctl(&child, unknown), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(child.text, "'frees' is no event: give one of all, attach, "));
    const char *shm[] = {"watch", "--shm", "x", NULL};
    CU_ASSERT_EQUAL(run_ctl(&child, shm), 2);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(child.text, "only a server can do 'watch': ask it, without '--shm'"));
    const char *nobody[] = {"watch", "--socket", ga_daemon_path("nobody.sock"), NULL};
    CU_ASSERT_EQUAL(run_ctl(&child, nobody), 5);
    CU_ASSERT_PTR_NOT_NULL(strstr(child.text, "nobody.sock: "));
    const char *partial[] = {"watch", "--partial", NULL};
    CU_ASSERT_EQUAL(run_ctl(&child, partial), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(child.text, "'--partial' goes with 'spans', not with 'watch'"));
    const char *pid[] = {"stats", "--pid", "1", NULL};
    CU_ASSERT_EQUAL(run_ctl(&child, pid), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(
        child.text, "'--pid' goes with 'spans', 'profile', 'sharing', 'watch', not with 'stats'"));
    free(child.text);
}

/* Nobody reads what it prints: it ends as soon as it is told to, and when the reader goes. */
static void test_ctl_unread(void)
{
    CU_ASSERT_FATAL(start());
    struct ga_child child = {0};
    CU_ASSERT_FATAL(start_ctl(&child, "all", NULL, NULL));
    struct ga_wire wire;
    CU_ASSERT_FATAL(open_watching(&wire, 1 << GA_EVENT_LEASE, 0));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(path, NULL, &heap), 0);
    for (unsigned i = 0; i < MANY / 4; i++)
        goalloc_free(heap, goalloc_malloc(heap, LARGE_BYTES));
    goalloc_detach(heap);
    kill(child.pid, SIGINT);
    int status = -1;
    pid_t ended = 0;
    for (int tries = 0; tries < 2000 && ended == 0; tries++, usleep(10000))
        ended = waitpid(child.pid, &status, WNOHANG);
    CU_ASSERT_EQUAL(ended, child.pid);
    CU_ASSERT_EQUAL(status, 0);
    close(child.out);
    ga_wire_close(&wire);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    free(child.text);
}

/* ---- the log ---- */

static void test_log_json(void)
{
    CU_ASSERT_FATAL(start_with("--log-format", "json", false));
    use(true);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(daemon_.text, "\"level\": \"warning\", \"heap\": \""));
    CU_ASSERT_PTR_NOT_NULL(strstr(daemon_.text, "\"event\": \"bad-free\", \"client\": 1, "));
    for (char *line = strtok(daemon_.text, "\n"); line; line = strtok(NULL, "\n"))
        CU_ASSERT(ga_json_is_valid(line));
}

/* A datagram socket where journald has its own, in a mount namespace; its descriptor, or -1. */
static int fake_journal(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
        mkdir("/run/systemd/journal", 0755) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return fd;
}

static bool has_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);
    return found && (found == text || found[-1] == '\n') && found[strlen(line)] == '\n';
}

/* Of the datagrams, the one about a bad free. */
static void expect_bad_free(int journal)
{
    char text[8192];
    ssize_t n;
    struct timeval silence = {.tv_sec = 20};
    setsockopt(journal, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    do {
        n = recv(journal, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    } while (n > 0 && !strstr(text, "GOALLOC_EVENT=bad-free\n"));
    char heap[128];
    snprintf(heap, sizeof(heap), "GOALLOC_HEAP=%s", ga_daemon_heap("events"));
    CU_ASSERT(has_line(text, "PRIORITY=4"));
    CU_ASSERT(has_line(text, "SYSLOG_IDENTIFIER=goallocd"));
    CU_ASSERT(has_line(text, heap));
    CU_ASSERT(has_line(text, "GOALLOC_CLIENT=1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "MESSAGE=process "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "GOALLOC_TEXT=goalloc_free("));
}

/* Last, since it stays in the namespace. */
static void test_journal(void)
{
    if (ga_private_shm_enter("64m") < 0)
        return;
    to_journal = true;
    int journal = fake_journal();
    CU_ASSERT_FATAL(journal >= 0);
    CU_ASSERT_FATAL(start_with("--log-level", "warning", false));
    use(true);
    expect_bad_free(journal);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_PTR_NULL(strstr(daemon_.text, "goalloc_free")); /* it went to journald alone */
    /* Without journald all goes to stderr. */
    close(journal);
    CU_ASSERT_FATAL(start_with("--log-level", "warning", false));
    use(true);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(daemon_.text, "goallocd: warning: process "));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"told in their order", test_told_in_order},
        {"a reader that is slow", test_slow_reader},
        {"a private server", test_private_server},
        {"goallocctl watch", test_ctl_text},
        {"goallocctl watch --json", test_ctl_json},
        {"what goallocctl watch refuses", test_ctl_refusals},
        {"goallocctl watch that nobody reads", test_ctl_unread},
        {"the log as JSON", test_log_json},
        {"the log in the journal", test_journal},
    };
    int code = ga_test_main("integration.events", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_daemon_clean_up() > 0 ? 1 : code;
}
