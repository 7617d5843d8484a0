/* What counts as the end of a process and what does not, and what is left of each that ends. The
 * clients are children; this process only looks on, and is none itself. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/wire.h"
#include "shm/mapping.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name
#define LIMIT      "64M"

enum { OBJECTS = 2000, PATIENCE_MS = 20000, LOOK_MS = 5 };

static struct ga_test_server server;
static struct ga_wire onlooker; /* greeted, not attached */

static struct goalloc_heap *heap; /* a child's */
static void *objects[OBJECTS];
static uint32_t policy;

/* ---- looking on ---- */

/* Clients and the spans leased to them; pid's alone unless it is 0. */
static void count(pid_t pid, uint32_t *ret_clients, uint64_t *ret_spans)
{
    Goalloc__V1__ListClients list = GOALLOC__V1__LIST_CLIENTS__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&onlooker, BODY(LIST_CLIENTS), &list);
    CU_ASSERT_FATAL(reply && reply->body_case == BODY(CLIENT_LIST));
    *ret_clients = 0;
    *ret_spans = 0;
    for (size_t i = 0; i < reply->client_list->n_clients; i++) {
        const Goalloc__V1__ClientInfo *info = reply->client_list->clients[i];
        *ret_clients += pid == 0 || info->pid == (uint32_t)pid;
        *ret_spans += pid == 0 || info->pid == (uint32_t)pid ? info->spans : 0;
    }
}

static uint64_t spans_of(pid_t pid)
{
    uint32_t clients;
    uint64_t spans;
    count(pid, &clients, &spans);
    return clients == 1 ? spans : 0;
}

static Goalloc__V1__Stats stats_now(void)
{
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    CU_ASSERT_PTR_NOT_NULL_FATAL(ga_wire_ask(&onlooker, BODY(SYNC), &sync));
    Goalloc__V1__GetStats get = GOALLOC__V1__GET_STATS__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&onlooker, BODY(GET_STATS), &get);
    CU_ASSERT_FATAL(reply && reply->body_case == BODY(STATS));
    return *reply->stats;
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Wait until n clients are left and nothing is leased to anybody else. */
static bool clients_become(uint32_t n)
{
    for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += LOOK_MS) {
        uint32_t clients;
        uint64_t spans;
        count(0, &clients, &spans);
        if (clients == n && stats_now().spans_leased == spans)
            return true;
        sleep_ms(LOOK_MS);
    }
    return false;
}

static bool has_root(const char *name)
{
    Goalloc__V1__Lookup lookup = GOALLOC__V1__LOOKUP__INIT;
    lookup.name = (char *)name;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&onlooker, BODY(LOOKUP), &lookup);
    return reply && reply->body_case == BODY(ROOT);
}

/* ---- children ---- */

struct child {
    pid_t pid;
    int tell; /* write: the child goes on */
    int hear; /* read: it has come so far */
};

static int heard; /* in the child: the other ends */
static int telling;

static void say(void)
{
    if (write(telling, "", 1) != 1)
        _exit(90);
}

static void await(void)
{
    char byte;
    if (read(heard, &byte, 1) != 1)
        _exit(91);
}

static bool listen_to(const struct child *child)
{
    char byte;
    return read(child->hear, &byte, 1) == 1;
}

static void tell(const struct child *child)
{
    CU_ASSERT_EQUAL(write(child->tell, "", 1), 1);
}

static void allocate(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = goalloc_malloc(heap, 48);
        if (!objects[i])
            _exit(92);
        memset(objects[i], i & 0xff, 48);
    }
}

/* Whether what was allocated is as it was; it is freed, and as much allocated again. */
static bool goes_on(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        const unsigned char *p = objects[i];
        if (p[0] != (i & 0xff) || p[47] != (i & 0xff))
            return false;
        goalloc_free(heap, objects[i]);
    }
    allocate();
    return goalloc_usable_size(heap, objects[0]) == 48;
}

static int nlost;

static void count_lost(enum goalloc_report_kind kind, const char *message, void *unused)
{
    (void)message;
    (void)unused;
    nlost += kind == GOALLOC_REPORT_LOST;
}

static void live(int (*run)(void))
{
    alarm(60);
    struct goalloc_options options = {
        .size = sizeof(options), .policy = policy, .report = count_lost};
    if (goalloc_attach(server.socket, &options, &heap) < 0)
        _exit(93);
    allocate();
    if (goalloc_publish(heap, "root", objects[0]) < 0)
        _exit(94);
    say();
    await();
    int r = run();
    goalloc_detach(heap);
    _exit(r);
}

/* A child that attaches, allocates, publishes one object, and waits; then, told to, runs. */
static struct child start(int (*run)(void))
{
    int to[2];
    int from[2];
    CU_ASSERT_FATAL(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        heard = to[0];
        telling = from[1];
        live(run);
    }
    close(to[0]);
    close(from[1]);
    struct child child = {.pid = pid, .tell = to[1], .hear = from[0]};
    CU_ASSERT_FATAL(pid > 0 && listen_to(&child));
    CU_ASSERT(spans_of(pid) > 0);
    return child;
}

/* Its exit code, or 256 + the signal. */
static int end(const struct child *child)
{
    int status = -1;
    close(child->tell);
    close(child->hear);
    CU_ASSERT_EQUAL(waitpid(child->pid, &status, 0), child->pid);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Nothing is leased any more, and the objects are there or not as the policy says. */
static void expect_left(void)
{
    bool kept = policy == GOALLOC_POLICY_KEEP;
    CU_ASSERT(clients_become(0));
    Goalloc__V1__Stats stats = stats_now();
    CU_ASSERT_EQUAL(stats.spans_leased, 0);
    CU_ASSERT_EQUAL(has_root("root"), kept);
    CU_ASSERT_EQUAL(stats.spans_inuse > 0, kept);
}

static int collect(void)
{
    return 0;
}

/* The heap as it was: a new server. */
static void renew(void)
{
    ga_wire_close(&onlooker);
    CU_ASSERT(ga_test_server_stop(&server));
    CU_ASSERT_FATAL(ga_test_server_start(LIMIT, &server));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&onlooker, server.socket));
}

/* ---- ends ---- */

static int call_exit(void)
{
    exit(7);
}

static int call__exit(void)
{
    _exit(7);
}

static int die(void)
{
    raise(SIGKILL);
    return 1;
}

static int detach(void)
{
    return 7; /* live does it */
}

/* Each way to end, under each policy. */
static void ends(void)
{
    static int (*const ways[])(void) = {call_exit, call__exit, die, detach};
    for (policy = GOALLOC_POLICY_KEEP; policy <= GOALLOC_POLICY_PRIVATE; policy++) {
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
            struct child child = start(ways[i]);
            tell(&child);
            CU_ASSERT_EQUAL(end(&child), ways[i] == die ? 256 + SIGKILL : 7);
            expect_left();
            renew();
        }
    }
    policy = GOALLOC_POLICY_KEEP;
}

static int exec_reader(void)
{
    if (dup2(heard, STDIN_FILENO) < 0 || dup2(telling, STDOUT_FILENO) < 0)
        return 1;
    execl("/bin/sh", "sh", "-c", "echo; read line", (char *)NULL);
    return 2;
}

static void *exec_in_thread(void *unused)
{
    (void)unused;
    _exit(exec_reader());
}

/* A thread that is not the first takes the process's pid with it into the new program. */
static int exec_beside_the_first(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, exec_in_thread, NULL) != 0)
        return 3;
    for (;;)
        pause();
}

/* After exec nobody stores any more, but that the server cannot know: the leases stay until the
 * process ends. */
static void expect_exec(int (*run)(void))
{
    struct child child = start(run);
    uint64_t spans = spans_of(child.pid);
    tell(&child);
    CU_ASSERT(listen_to(&child));
    CU_ASSERT_EQUAL(spans_of(child.pid), spans);
    CU_ASSERT_EQUAL(end(&child), 1); /* it has read to the end */
    expect_left();
    renew();
}

static void exec(void)
{
    expect_exec(exec_reader);
    expect_exec(exec_beside_the_first);
}

/* ---- what is no end ---- */

static int go_on(void)
{
    if (!goes_on())
        return 1;
    say();
    await();
    return 0;
}

/* The child goes on with what it had, and ends. */
static void expect_goes_on(const struct child *child)
{
    tell(child);
    CU_ASSERT(listen_to(child));
    CU_ASSERT(spans_of(child->pid) > 0);
    tell(child);
    CU_ASSERT_EQUAL(end(child), 0);
    expect_left();
    renew();
}

/* As long as the server looks at anything by time, and a while more. */
#define LONG_MS 2500

static void stopped(void)
{
    struct child child = start(go_on);
    uint64_t spans = spans_of(child.pid);
    CU_ASSERT_EQUAL(kill(child.pid, SIGSTOP), 0);
    int status;
    CU_ASSERT_EQUAL(waitpid(child.pid, &status, WUNTRACED), child.pid);
    sleep_ms(LONG_MS);
    CU_ASSERT_EQUAL(spans_of(child.pid), spans);
    CU_ASSERT_EQUAL(kill(child.pid, SIGCONT), 0);
    expect_goes_on(&child);
}

static void debugged(void)
{
    struct child child = start(go_on);
    uint64_t spans = spans_of(child.pid);
    if (ptrace(PTRACE_SEIZE, child.pid, NULL, NULL) < 0) {
        puts("left out: this process may trace nobody");
    } else {
        int status = 0;
        CU_ASSERT_EQUAL(ptrace(PTRACE_INTERRUPT, child.pid, NULL, NULL), 0);
        CU_ASSERT_EQUAL(waitpid(child.pid, &status, __WALL), child.pid);
        CU_ASSERT(WIFSTOPPED(status));
        sleep_ms(LONG_MS);
        CU_ASSERT_EQUAL(spans_of(child.pid), spans);
        CU_ASSERT_EQUAL(ptrace(PTRACE_DETACH, child.pid, NULL, NULL), 0);
    }
    expect_goes_on(&child);
}

/* Another thread's first call, which needs the server. */
static void *allocate_first(void *unused)
{
    (void)unused;
    if (goalloc_malloc(heap, 48))
        _exit(96);
    return NULL;
}

/* All but those to the parent, as daemons do. */
static void close_descriptors(void)
{
    if (fcntl(heard, F_DUPFD_CLOEXEC, 500) != 500 || fcntl(telling, F_DUPFD_CLOEXEC, 500) != 501 ||
        close_range(0, 499, 0) < 0 || close_range(502, ~0U, 0) < 0)
        _exit(95);
    heard = 500;
    telling = 501;
}

static int close_all(void)
{
    close_descriptors();
    _exit(go_on()); /* there is no connection to say Detach by */
}

enum { NPAIRS = 20 };

static bool is_untouched(const int pair[2])
{
    char byte;
    for (int end = 0; end < 2; end++)
        if (recv(pair[end], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            return false;
    return true;
}

/* The program's own descriptors have the numbers that the library's had: nothing is written to
 * them, none is closed, and no call waits for ever. */
static int close_all_and_open(void)
{
    close_descriptors();
    int pairs[NPAIRS][2];
    for (int i = 0; i < NPAIRS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) < 0)
            return 2;
    void *root;
    if (goalloc_lookup(heap, "root", &root) != -ENOTCONN || nlost != 1)
        return 3;
    if (goalloc_malloc(heap, 3 << 20))
        return 4;
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate_first, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 5;
    int r = go_on();
    goalloc_detach(heap);
    heap = NULL;
    for (int i = 0; i < NPAIRS && r == 0; i++)
        r = is_untouched(pairs[i]) ? 0 : 6;
    return r;
}

static void closed_and_opened(void)
{
    struct child child = start(close_all_and_open);
    expect_goes_on(&child);
}

static void closed(void)
{
    struct child child = start(close_all);
    expect_goes_on(&child);
}

/* Who has attached and not asked for anything as yet stays a client as well. */
static void closed_before_first_call(void)
{
    int from[2];
    CU_ASSERT_FATAL(pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        heard = telling = from[1];
        if (goalloc_attach(server.socket, NULL, &heap) < 0)
            _exit(93);
        close_descriptors();
        say();
        pause();
    }
    close(from[1]);
    CU_ASSERT(listen_to(&(struct child){.hear = from[0]}));
    close(from[0]);
    sleep_ms(300); /* for the server to see it */
    uint32_t clients;
    uint64_t spans;
    count(pid, &clients, &spans);
    CU_ASSERT_EQUAL(clients, 1);
    CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    CU_ASSERT(clients_become(0));
}

static int vfork_and_exec(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    return go_on();
}

static void vforked(void)
{
    struct child child = start(vfork_and_exec);
    expect_goes_on(&child);
}

static int fork_and_go_on(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        void *p = goalloc_malloc(heap, 48); /* a client of its own */
        goalloc_free(heap, objects[1]);     /* an object of the other */
        say();
        await();
        goalloc_free(heap, p);
        _exit(p ? 0 : 1);
    }
    await();
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    objects[1] = goalloc_malloc(heap, 48);
    memset(objects[1], 1, 48);
    return go_on();
}

/* The end of a child of fork ends what is its own; its parent goes on. */
static void forked(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer lets the child of a program with threads start none");
    return;
#endif
    struct child child = start(fork_and_go_on);
    tell(&child);
    CU_ASSERT(listen_to(&child));
    CU_ASSERT(clients_become(2));
    CU_ASSERT(spans_of(child.pid) > 0);
    tell(&child);
    tell(&child); /* both wait */
    CU_ASSERT(listen_to(&child));
    CU_ASSERT(clients_become(1));
    CU_ASSERT(spans_of(child.pid) > 0);
    tell(&child);
    CU_ASSERT_EQUAL(end(&child), 0);
    expect_left();
    renew();
}

/* ---- a pid that was used again ---- */

/* A process has ended while there was no server, and its pid is that of another now. */
static void pid_used_again(void)
{
    struct child gone = start(collect);
    ga_test_server_kill(&server);
    CU_ASSERT_EQUAL(kill(gone.pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(end(&gone), 256 + SIGKILL);

    char name[GA_OBJECT_NAME_BYTES];
    ga_object_name(server.heap_name, GA_OBJECT_META, name);
    char path[256];
    snprintf(path, sizeof(path), "/dev/shm%s", name);
    int meta = open(path, O_RDWR | O_CLOEXEC);
    struct ga_meta_header header;
    struct ga_client_entry entry;
    CU_ASSERT_FATAL(meta >= 0 && pread(meta, &header, sizeof(header), 0) == sizeof(header));
    off_t at = (off_t)header.clients_offset;
    CU_ASSERT_FATAL(pread(meta, &entry, sizeof(entry), at) == sizeof(entry));
    CU_ASSERT_EQUAL_FATAL(entry.pid, (uint32_t)gone.pid);
    entry.pid = (uint32_t)getpid(); /* lives, and has another start time */
    CU_ASSERT_EQUAL(pwrite(meta, &entry, sizeof(entry), at), sizeof(entry));
    close(meta);

    ga_wire_close(&onlooker);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&onlooker, server.socket));
    expect_left();
    renew();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"ends", ends},
        {"exec", exec},
        {"stopped", stopped},
        {"under a debugger", debugged},
        {"all descriptors closed", closed},
        {"all descriptors closed, and their numbers used again", closed_and_opened},
        {"all descriptors closed before the first call", closed_before_first_call},
        {"vfork and exec", vforked},
        {"fork", forked},
        {"a pid that was used again", pid_used_again},
    };
    signal(SIGPIPE, SIG_IGN);
    if (!ga_test_server_start(LIMIT, &server) || !ga_wire_open_greeted(&onlooker, server.socket))
        return 2;
    int r = ga_test_main("integration.death", tests, sizeof(tests) / sizeof(tests[0]));
    ga_wire_close(&onlooker);
    return ga_test_server_stop(&server) ? r : 1;
}
