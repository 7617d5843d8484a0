/* goallocctl check beside processes that are stopped in the middle of a step: what they are at is
 * told of, and is no fault; what is spoilt beside it still is one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "integration/wire.h"
#include "shm/audit.h"
#include "shm/mapping.h"
#include "shm/page_entry.h"
#include "support/cunit_main.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name
#define STEPS_MAX  2000000

static struct ga_daemon server;
static char name[64];
static char socket_path[128];
static struct ga_run run;

static int check(const char *option)
{
    const char *words[] = {"--shm", name, "check", option, NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    return run.code;
}

static void expect_moving(pid_t pid)
{
    char line[80];
    snprintf(line, sizeof(line), "in motion, process %d is stopped: ", (int)pid);
    int code = check(NULL);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, line));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "no faults"));
    if (code != 0)
        fprintf(stderr, "%s%s", run.out, run.err);
    CU_ASSERT_EQUAL(check("--json"), 0);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "nfaults"), 0);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "pid"), (uint64_t)pid);
}

/* ---- the server ---- */

/* One instruction of it. */
static bool step(void)
{
    int status;
    int forward = 0;
    do {
        if (ptrace(PTRACE_SINGLESTEP, server.pid, NULL, (void *)(uintptr_t)forward) < 0 ||
            waitpid(server.pid, &status, 0) != server.pid || !WIFSTOPPED(status))
            return false;
        forward = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    } while (forward != 0);
    return true;
}

static uint64_t count_faults(const struct ga_view *view)
{
    static struct ga_audit_scratch scratch;
    struct ga_audit audit;
    struct ga_audit_options options = {.flags = GA_AUDIT_LIVE, .scratch = &scratch};
    ga_audit_run(view, &options, &audit);
    return audit.nfaults;
}

static bool stop_server(void)
{
    int status;
    return ptrace(PTRACE_SEIZE, server.pid, NULL, NULL) == 0 &&
           ptrace(PTRACE_INTERRUPT, server.pid, NULL, NULL) == 0 &&
           waitpid(server.pid, &status, 0) == server.pid;
}

/* Spans that the page table says are leased to the mcache. */
static uint32_t count_leases(const struct ga_view *view, uint32_t mcache)
{
    uint32_t n = 0;
    uint64_t end = ga_load_acquire(&view->meta->committed_npages);
    for (uint64_t page = 1; page < end; page++) {
        uint64_t entry = ga_view_entry(view, page);
        n += ga_entry_is_span(entry) && ga_entry_owner(entry) == mcache;
    }
    return n;
}

/* Go on until a span is leased to the mcache and not counted yet. */
static bool to_the_middle(const struct ga_view *view, uint32_t mcache)
{
    for (int i = 0; i < STEPS_MAX && step(); i++)
        if (count_leases(view, mcache) != ga_load_acquire(&view->mcache_entries[mcache].nspans))
            return true;
    return false;
}

static bool send_lease(struct ga_wire *wire, uint32_t mcache)
{
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    lease.mcache = mcache;
    lease.span_class = 20;
    lease.count = 2;
    message.id = 77;
    message.body_case = BODY(LEASE);
    message.lease = &lease;
    return ga_wire_send(wire, &message);
}

static void test_server(void)
{
    struct ga_wire wire;
    struct ga_mapping meta;
    struct ga_mapping bits;
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    CU_ASSERT_FATAL(ga_wire_open_attached(&wire, socket_path));
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&wire, BODY(NEW_MCACHE), &new_mcache);
    CU_ASSERT_FATAL(reply && reply->body_case == BODY(MCACHE));
    CU_ASSERT_FATAL(ga_mapping_open(name, GA_OBJECT_META, true, -1, 0, 0, &meta) == 0);
    CU_ASSERT_FATAL(ga_mapping_open(name, GA_OBJECT_BITS, false, -1, 0, 0, &bits) == 0);
    struct ga_view view = ga_view_of(meta.address, bits.address);
    CU_ASSERT_EQUAL(count_faults(&view), 0);
    uint32_t mcache = reply->mcache->mcache;
    CU_ASSERT_FATAL(stop_server());
    CU_ASSERT(send_lease(&wire, mcache));
    CU_ASSERT_FATAL(to_the_middle(&view, mcache));
    CU_ASSERT(count_faults(&view) > 0);
    expect_moving(server.pid);

    ga_store_release(&view.lines[1].d, 1);
    CU_ASSERT_EQUAL(check(NULL), 4);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, ga_audit_kind_text(GA_FAULT_FLUSH)));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "1 fault\n"));
    ga_store_release(&view.lines[1].d, 0);

    CU_ASSERT_EQUAL(ptrace(PTRACE_DETACH, server.pid, NULL, NULL), 0);
    reply = ga_wire_receive(&wire);
    CU_ASSERT(reply && reply->body_case == BODY(LEASES));
    CU_ASSERT_EQUAL(check(NULL), 0);
    CU_ASSERT_PTR_NULL(strstr(run.out, "is stopped"));
    ga_wire_close(&wire);
    ga_mapping_close(&bits);
    ga_mapping_close(&meta);
}

/* ---- a client ---- */

/* Its slot names an object that is published, and which somebody else frees: it was about to empty
 * it. */
static int be_client(int from_parent, int to_parent)
{
    struct goalloc_heap *heap;
    char c;
    if (goalloc_attach(socket_path, NULL, &heap) < 0)
        return 1;
    void **slot = goalloc_slot(heap, 0);
    void *object = slot ? goalloc_malloc_into(heap, 100, slot) : NULL;
    if (!object || write(to_parent, &object, sizeof(object)) != sizeof(object) ||
        read(from_parent, &c, 1) != 1)
        return 2;
    raise(SIGSTOP);
    return read(from_parent, &c, 1) == 1 ? 0 : 3;
}

static void test_client(void)
{
    int down[2];
    int up[2];
    int status;
    void *object = NULL;
    struct goalloc_heap *heap;
    CU_ASSERT_FATAL(pipe(down) == 0 && pipe(up) == 0);
    pid_t client = fork();
    if (client == 0)
        _exit(be_client(down[0], up[1]));
    CU_ASSERT_FATAL(read(up[0], &object, sizeof(object)) == sizeof(object));
    CU_ASSERT_FATAL(goalloc_attach(socket_path, NULL, &heap) == 0);
    goalloc_free(heap, object);
    CU_ASSERT(write(down[1], "x", 1) == 1);
    CU_ASSERT_EQUAL(waitpid(client, &status, WUNTRACED), client);
    CU_ASSERT(WIFSTOPPED(status));
    expect_moving(client);
    kill(client, SIGCONT);
    CU_ASSERT_EQUAL(waitpid(client, &status, WCONTINUED), client);
    CU_ASSERT_EQUAL(check(NULL), 4); /* it had the time */
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, ga_audit_kind_text(GA_FAULT_HANDLE)));
    CU_ASSERT(write(down[1], "x", 1) == 1);
    CU_ASSERT_EQUAL(waitpid(client, &status, 0), client);
    CU_ASSERT_EQUAL(status, 0);
    goalloc_detach(heap);
    for (int i = 0; i < 2; i++) {
        close(down[i]);
        close(up[i]);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a client that is stopped", test_client},
        {"a server that is stopped between two stores", test_server},
    };
    signal(SIGPIPE, SIG_IGN);
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("stopped"));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    const char *arguments[] = {"--name", name, "--socket", socket_path, "--reserve", "64M", NULL};
    int failed = 1;
    if (ga_daemon_start(&server, 0, arguments))
        failed = ga_test_main("ctl_check_stopped", tests, sizeof(tests) / sizeof(tests[0]));
    int code = ga_daemon_end(&server, SIGTERM);
    int left = ga_daemon_clean_up();
    if (failed || code != 0 || left != 0)
        fprintf(stderr, "goallocd ended with %d and left %d objects; it said:\n%s", code, left,
                server.text);
    ga_run_fini(&run);
    return failed || code != 0 || left != 0;
}
