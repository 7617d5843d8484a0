/* When a client is gone: only when its process has ended, or when it says so; and what the server
 * makes of notes that are not true. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/wire.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name

static struct ga_daemon server;
static const char *socket_path;
static struct ga_wire onlooker; /* greeted, not attached */

static bool is(const Goalloc__V1__Envelope *reply, Goalloc__V1__Envelope__BodyCase body_case)
{
    return reply && reply->body_case == body_case;
}

/* How many clients and leased spans there are. */
static void count(uint32_t *ret_clients, uint32_t *ret_mcaches, uint64_t *ret_leased)
{
    Goalloc__V1__GetStatus get_status = GOALLOC__V1__GET_STATUS__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&onlooker, BODY(GET_STATUS), &get_status);
    CU_ASSERT_FATAL(is(reply, BODY(STATUS)));
    *ret_clients = reply->status->clients;
    *ret_mcaches = reply->status->mcaches;
    Goalloc__V1__GetStats get_stats = GOALLOC__V1__GET_STATS__INIT;
    reply = ga_wire_ask(&onlooker, BODY(GET_STATS), &get_stats);
    CU_ASSERT_FATAL(is(reply, BODY(STATS)));
    *ret_leased = reply->stats->spans_leased;
}

static bool counts_are(uint32_t clients, uint32_t mcaches, uint64_t leased)
{
    uint32_t c;
    uint32_t m;
    uint64_t l;
    count(&c, &m, &l);
    return c == clients && m == mcaches && l == leased;
}

/* Wait until the server has taken notice; whether it did. */
static bool counts_become(uint32_t clients, uint32_t mcaches, uint64_t leased)
{
    for (int i = 0; i < 2000; i++) {
        if (counts_are(clients, mcaches, leased))
            return true;
        usleep(5000);
    }
    return false;
}

static uint32_t last_mcache; /* that attach_and_lease has got */

/* Attach, and lease 5 spans to a new mcache. */
static bool attach_and_lease(struct ga_wire *wire)
{
    if (!ga_wire_open_attached(wire, socket_path))
        return false;
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, BODY(NEW_MCACHE), &new_mcache);
    if (!is(reply, BODY(MCACHE)))
        return false;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = last_mcache = reply->mcache->mcache;
    lease.span_class = 10;
    lease.count = 5;
    return is(ga_wire_ask(wire, BODY(LEASE), &lease), BODY(LEASES));
}

/* A child that attaches, hangs up if it is told to, says so in the pipe, and waits to be killed. */
static pid_t start_child(bool hang_up)
{
    int ready[2];
    CU_ASSERT_FATAL(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct ga_wire wire;
        char good = attach_and_lease(&wire) ? 'y' : 'n';
        if (hang_up)
            ga_wire_close(&wire);
        if (write(ready[1], &good, 1) == 1)
            pause();
        _exit(1);
    }
    char answer = 'n';
    close(ready[1]);
    CU_ASSERT(read(ready[0], &answer, 1) == 1);
    close(ready[0]);
    CU_ASSERT_EQUAL(answer, 'y');
    return child;
}

static void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void test_killed(void)
{
    pid_t child = start_child(false);
    CU_ASSERT(counts_are(1, 1, 5));
    kill(child, SIGSTOP);
    CU_ASSERT(counts_are(1, 1, 5));
    kill_child(child);
    CU_ASSERT(counts_become(0, 0, 0));
}

/* The server has seen the hang-up when it has closed its end, which shows in a message that it
 * writes; so the onlooker waits for that. */
static void wait_for_hang_up(pid_t child)
{
    char line[64];
    snprintf(line, sizeof(line), "process %d has hung up", (int)child);
    for (int i = 0; i < 2000 && !ga_daemon_said(&server, line); i++)
        usleep(5000);
    CU_ASSERT(ga_daemon_said(&server, line));
}

/* Who hangs up may go on storing. */
static void test_hung_up(void)
{
    pid_t child = start_child(true);
    wait_for_hang_up(child);
    CU_ASSERT(counts_are(1, 1, 5));
    kill_child(child);
    CU_ASSERT(counts_become(0, 0, 0));
}

/* As the library does once it has mapped the heap. */
static bool say_mapped(struct ga_wire *wire)
{
    Goalloc__V1__Mapped body = GOALLOC__V1__MAPPED__INIT;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = BODY(MAPPED);
    note.mapped = &body;
    return ga_wire_send(wire, &note);
}

/* Who attached, gave up waiting for the answer and hung up, while it lives, is a client no more;
 * and who has mapped the heap is one until it ends. */
static void test_gave_up(void)
{
    struct ga_wire wire;
    for (int i = 0; i < 70; i++) { /* more than a process may be at once */
        CU_ASSERT_FATAL(ga_wire_open_attached(&wire, socket_path));
        ga_wire_close(&wire);
        CU_ASSERT_FATAL(counts_become(0, 0, 0));
    }
    pid_t child = fork();
    if (child == 0) {
        if (ga_wire_open_attached(&wire, socket_path) && say_mapped(&wire))
            ga_wire_close(&wire);
        pause();
    }
    wait_for_hang_up(child);
    CU_ASSERT(counts_are(1, 0, 0));
    kill_child(child);
    CU_ASSERT(counts_become(0, 0, 0));
}

static void test_detach(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(attach_and_lease(&wire));
    CU_ASSERT(counts_are(1, 1, 5));
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    CU_ASSERT(counts_are(0, 0, 0));
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, BODY(DETACH), &detach), -EPERM,
                                 "the client is not attached to the heap"));
    ga_wire_close(&wire);
}

/* Two attachments of one process are two clients, and end one by one. */
static void test_twice(void)
{
    struct ga_wire first;
    struct ga_wire second;
    CU_ASSERT_FATAL(attach_and_lease(&first));
    CU_ASSERT_FATAL(attach_and_lease(&second));
    CU_ASSERT(counts_are(2, 2, 10));
    Goalloc__V1__ListClients list = GOALLOC__V1__LIST_CLIENTS__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&onlooker, BODY(LIST_CLIENTS), &list);
    CU_ASSERT_FATAL(is(reply, BODY(CLIENT_LIST)));
    CU_ASSERT_FATAL(reply->client_list->n_clients == 2);
    for (int i = 0; i < 2; i++) {
        const Goalloc__V1__ClientInfo *info = reply->client_list->clients[i];
        CU_ASSERT_EQUAL(info->pid, (uint32_t)getpid());
        CU_ASSERT_STRING_EQUAL(info->name, "wire");
        CU_ASSERT_EQUAL(info->spans, 5);
    }
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&first, BODY(DETACH), &detach), BODY(DONE)));
    CU_ASSERT(counts_are(1, 1, 5));
    CU_ASSERT(is(ga_wire_ask(&second, BODY(DETACH), &detach), BODY(DONE)));
    CU_ASSERT(counts_are(0, 0, 0));
    ga_wire_close(&first);
    ga_wire_close(&second);
}

static void send_return(struct ga_wire *wire, uint32_t mcache, uint32_t *pages, size_t npages)
{
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    body.mcache = mcache;
    body.pages = pages;
    body.n_pages = npages;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = BODY(RETURN_SPANS);
    note.return_spans = &body;
    CU_ASSERT(ga_wire_send(wire, &note));
}

/* ---- what no client does ---- */

static uint64_t heap_id(void)
{
    struct ga_meta_header header = {0};
    int fd = ga_daemon_open_object(ga_daemon_heap("clients"), "meta", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : pread(fd, &header, sizeof(header), 0);
    if (fd >= 0)
        close(fd);
    return n == sizeof(header) ? header.heap_id : 0;
}

static uint64_t test_heap_id;

/* Whether the server has hung up, and neither attaches this process again nor lets it come back. */
static bool is_in_quarantine(struct ga_wire *wire)
{
    if (!ga_wire_is_ended(wire))
        return false;
    ga_wire_close(wire);
    char detail[96];
    snprintf(detail, sizeof(detail), "process %d is in quarantine for what it did before",
             (int)getpid());
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    Goalloc__V1__Reattach reattach = GOALLOC__V1__REATTACH__INIT;
    attach.layout_version = reattach.layout_version = GA_LAYOUT_VERSION;
    reattach.client = 1;
    reattach.heap_id = test_heap_id;
    reattach.generation = 1;
    return ga_wire_open_greeted(wire, socket_path) &&
           ga_wire_is_failure(ga_wire_ask(wire, BODY(ATTACH), &attach), -EPERM, detail) &&
           ga_wire_is_failure(ga_wire_ask(wire, BODY(REATTACH), &reattach), -EPERM, detail);
}

static bool return_too_many(struct ga_wire *wire)
{
    static uint32_t pages[1025];
    send_return(wire, 1, pages, 1025);
    return is_in_quarantine(wire);
}

static bool free_too_many(struct ga_wire *wire)
{
    static uint32_t pages[1026];
    Goalloc__V1__LargeFree body = GOALLOC__V1__LARGE_FREE__INIT;
    body.pages = pages;
    body.n_pages = 1026;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = BODY(LARGE_FREE);
    note.large_free = &body;
    return ga_wire_send(wire, &note) && is_in_quarantine(wire);
}

static bool return_anothers(struct ga_wire *wire)
{
    uint32_t page = 1;
    send_return(wire, 70000, &page, 1);
    return is_in_quarantine(wire);
}

static bool lease_for_another(struct ga_wire *wire)
{
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = 70000;
    lease.span_class = 4;
    lease.count = 1;
    return ga_wire_is_failure(ga_wire_ask(wire, BODY(LEASE), &lease), -EPERM,
                              "mcache 70000 is not the client's") &&
           is_in_quarantine(wire);
}

static bool large_for_another(struct ga_wire *wire)
{
    Goalloc__V1__LargeAlloc large = GOALLOC__V1__LARGE_ALLOC__INIT;
    large.mcache = 70001;
    large.size_bytes = 40000;
    return ga_wire_is_failure(ga_wire_ask(wire, BODY(LARGE_ALLOC), &large), -EPERM,
                              "mcache 70001 is not the client's") &&
           is_in_quarantine(wire);
}

static bool lease_ahead_for_another(struct ga_wire *wire)
{
    Goalloc__V1__LeaseAhead body = GOALLOC__V1__LEASE_AHEAD__INIT;
    body.mcache = 70000;
    body.span_class = 4;
    body.count = 1;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = BODY(LEASE_AHEAD);
    note.lease_ahead = &body;
    return ga_wire_send(wire, &note) && is_in_quarantine(wire);
}

static bool send_garbage(struct ga_wire *wire)
{
    static const char garbage[] = "GET / HTTP/1.1\r\n\r\n";
    return ga_wire_send_bytes(wire, garbage, sizeof(garbage)) && ga_wire_receive(wire) &&
           is_in_quarantine(wire);
}

/* Each by a process of its own, since the whole process is put in quarantine. */
static void test_quarantine(void)
{
    static const struct {
        bool (*misdeed)(struct ga_wire *wire);
        const char *said;
    } cases[] = {
        {return_too_many, "it sent a note of 1025 pages, and the most is 1024"},
        {free_too_many, "it sent a note of 1026 pages, and the most is 1024"},
        {return_anothers, "it returned spans of mcache 70000"},
        {lease_for_another, "it asked for memory for mcache 70000"},
        {large_for_another, "it asked for memory for mcache 70001"},
        {lease_ahead_for_another, "it asked for 1 spans of class 4 for mcache 70000"},
        {send_garbage, "it sent a message over the limit of size"},
    };
    test_heap_id = heap_id(); /* the children have other names of heaps */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pid_t child = fork();
        if (child == 0) {
            struct ga_wire wire;
            _exit(attach_and_lease(&wire) && cases[i].misdeed(&wire) ? 0 : 1);
        }
        int status = -1;
        CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
        char line[256];
        snprintf(line, sizeof(line),
                 "goallocd: warning: process %d of user %d, client 1, is in quarantine: %s\n",
                 (int)child, (int)getuid(), cases[i].said);
        CU_ASSERT(ga_daemon_said(&server, line));
        CU_ASSERT(counts_become(0, 0, 0)); /* its end ends it all */
    }
    CU_ASSERT_FALSE(ga_daemon_said(&server, "returned page"));
}

/* In a child: attach and hang up, 64 times, and once more; whether just the last is refused. */
static bool attach_too_often(void)
{
    struct ga_wire wire;
    for (int i = 0; i < 64; i++) {
        if (!ga_wire_open_attached(&wire, socket_path) || !say_mapped(&wire))
            return false;
        ga_wire_close(&wire);
    }
    char detail[96];
    snprintf(detail, sizeof(detail), "process %d is attached 64 times, the most it can be",
             (int)getpid());
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    attach.layout_version = GA_LAYOUT_VERSION;
    return ga_wire_open_greeted(&wire, socket_path) &&
           ga_wire_is_failure(ga_wire_ask(&wire, BODY(ATTACH), &attach), -EAGAIN, detail);
}

static void test_too_many_attachments(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(attach_too_often() ? 0 : 1);
    int status = -1;
    CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
    struct ga_wire wire;
    CU_ASSERT(attach_and_lease(&wire)); /* others can */
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    ga_wire_close(&wire);
    CU_ASSERT(counts_become(0, 0, 0));
}

static void test_too_many_mcaches(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_attached(&wire, socket_path));
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    for (int i = 0; i < 4096; i++)
        CU_ASSERT_FATAL(is(ga_wire_ask(&wire, BODY(NEW_MCACHE), &new_mcache), BODY(MCACHE)));
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, BODY(NEW_MCACHE), &new_mcache), -EAGAIN,
                                 "the client has 4096 mcaches, the most it can have"));
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    ga_wire_close(&wire);
    CU_ASSERT(counts_are(0, 0, 0));
}

/* Notes that are not true change nothing, and flood no log. */
static void test_false_notes(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(attach_and_lease(&wire));
    uint32_t pages[1024];
    for (uint32_t i = 0; i < 1024; i++)
        pages[i] = i * 1000003; /* 0, those of nobody, those past the end */
    send_return(&wire, last_mcache, pages, 1024);
    for (uint32_t i = 0; i < 1024; i++)
        pages[i] = i; /* those it has, too, but has not given back */
    send_return(&wire, last_mcache, pages, 1024);
    send_return(&onlooker, last_mcache, pages, 1024);
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(SYNC), &sync), BODY(DONE)));
    CU_ASSERT(counts_are(1, 1, 5));
    CU_ASSERT(ga_daemon_said(&server, "returned page"));
    CU_ASSERT(server.text_bytes < 8000);
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    ga_wire_close(&wire);
}

/* A few hundred clients that come and are killed together. */
static void test_many(void)
{
    enum { CHILDREN = 60 };
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_child(i % 2 == 0);
    CU_ASSERT(counts_are(CHILDREN, CHILDREN, 5 * CHILDREN));
    for (int i = 0; i < CHILDREN; i++)
        kill(children[i], SIGKILL);
    for (int i = 0; i < CHILDREN; i++)
        waitpid(children[i], NULL, 0);
    CU_ASSERT(counts_become(0, 0, 0));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a client that is killed", test_killed},
        {"a client that hangs up and lives", test_hung_up},
        {"detach", test_detach},
        {"two attachments of a process", test_twice},
        {"quarantine", test_quarantine},
        {"notes that are not true", test_false_notes},
        {"more attachments than a process may have", test_too_many_attachments},
        {"more mcaches than a client may have", test_too_many_mcaches},
        {"many clients killed at once", test_many},
        {"a client that gives up attaching", test_gave_up},
    };
    signal(SIGPIPE, SIG_IGN);
    socket_path = strdup(ga_daemon_path("sock"));
    const char *arguments[] = {"--name",      ga_daemon_heap("clients"),
                               "--socket",    socket_path,
                               "--reserve",   "64M",
                               "--log-level", "debug",
                               NULL};
    int failed = 1;
    if (ga_daemon_start(&server, 0, arguments) && ga_wire_open_greeted(&onlooker, socket_path))
        failed = ga_test_main("server_clients", tests, sizeof(tests) / sizeof(tests[0]));
    ga_wire_close(&onlooker);
    int code = ga_daemon_end(&server, SIGTERM);
    int left = ga_daemon_clean_up();
    if (failed || code != 0 || left != 0)
        fprintf(stderr, "goallocd ended with %d and left %d objects; it said:\n%s", code, left,
                server.text);
    free((void *)socket_path);
    return failed || code != 0 || left != 0;
}
