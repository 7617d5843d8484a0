/* A heap is written to a file and comes back from it, byte for byte and at its address; while
 * anybody is attached it is not written, and who that is is said. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/json_check.h"
#include "integration/snapshot_fixture.h"
#include "integration/wire.h"
#include "shm/process.h"
#include "shm/server_lock.h"
#include "shm/view.h"
#include "support/cunit_main.h"

#define COUNT(a)           (sizeof(a) / sizeof(*(a)))
#define SAYS(text, needle) CU_ASSERT_PTR_NOT_NULL(strstr(text, needle))

static struct ga_run run;
static struct ga_run other;

/* ---- round trip ---- */

/* What the heap says of itself is in both documents the same. */
static void same_numbers(void)
{
    static const char *const keys[] = {"counted_objects", "counted_bytes", "heap_objects",
                                       "mallocs",         "frees",         "alloc_bytes",
                                       "heap_sys_bytes",  "spans_inuse",   "heap_inuse_bytes"};
    for (size_t i = 0; i < COUNT(keys); i++)
        CU_ASSERT_EQUAL(ga_json_number_of(run.out, keys[i]), ga_json_number_of(other.out, keys[i]));
    CU_ASSERT(ga_json_number_of(run.out, "counted_objects") > 6000);
    CU_ASSERT(ga_json_number_of(run.out, "counted_objects") < 7000);
}

static void live_on(struct ga_daemon *daemon, const char *heap, const char *path)
{
    CU_ASSERT(ga_daemon_said(daemon, "restored heap '"));
    CU_ASSERT_EQUAL(GA_CTL(&other, "--socket", path, "--json", "stats", "--recount"), 0);
    same_numbers();
    CU_ASSERT_EQUAL(GA_CTL(&other, "--socket", path, "check"), 0);
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_drop));
    CU_ASSERT_EQUAL(GA_CTL(&other, "--socket", path, "check"), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(daemon, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&other, "--shm", heap, "check"), 0);
    CU_ASSERT_EQUAL(GA_CTL(&other, "destroy", heap), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void test_round_trip(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("round");
    const char *path = ga_daemon_path("round");
    const char *file = ga_daemon_path("round.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", file), 0);
    SAYS(run.out, "wrote heap '");
    CU_ASSERT_STRING_EQUAL(run.err, ""); /* no progress where there is no terminal */
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "--quiet", file), 0);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "--json", file), 0);
    CU_ASSERT(ga_json_is_valid(run.out));
    /* Pages that are not in use are not written. */
    CU_ASSERT(ga_json_number_of(run.out, "data_bytes") <
              ga_json_number_of(run.out, "committed_bytes"));
    struct stat st;
    CU_ASSERT_EQUAL_FATAL(stat(file, &st), 0);
    CU_ASSERT_EQUAL((uint64_t)st.st_size, ga_json_number_of(run.out, "file_bytes"));
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify)); /* it goes on as it was */
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);

    CU_ASSERT_FALSE(ga_fixture_restore(&daemon, file, NULL, path)); /* the name is taken */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 3);
    CU_ASSERT(ga_daemon_said(&daemon, "is there already, left by a server that has ended"));
    CU_ASSERT(ga_daemon_left_objects(heap));
    CU_ASSERT_EQUAL(GA_CTL(&other, "destroy", heap), 0);
    CU_ASSERT_FATAL(ga_fixture_restore(&daemon, file, NULL, path));
    live_on(&daemon, heap, path);
}

/* Beside the heap that it was copied from, under another name; --replace takes the place of one. */
static void test_another_name(void)
{
    struct ga_daemon daemon;
    struct ga_daemon copy;
    const char *heap = ga_daemon_heap("first");
    const char *second = ga_daemon_heap("second");
    const char *path = ga_daemon_path("first");
    const char *file = ga_daemon_path("first.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", file), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    CU_ASSERT_FALSE(ga_fixture_restore(&copy, file, NULL, ga_daemon_path("copy")));
    CU_ASSERT_EQUAL(ga_daemon_end(&copy, 0), 3);
    CU_ASSERT(ga_daemon_said(&copy, "' is served by process "));
    CU_ASSERT_FATAL(ga_fixture_restore(&copy, file, second, ga_daemon_path("copy")));

    struct ga_meta_header headers[2] = {0};
    const char *const names[2] = {heap, second};
    for (int i = 0; i < 2; i++) {
        int fd = ga_daemon_open_object(names[i], "meta", O_RDONLY);
        CU_ASSERT_EQUAL(pread(fd, &headers[i], sizeof(headers[i]), 0), sizeof(headers[i]));
        close(fd);
    }
    CU_ASSERT_EQUAL(headers[0].base, headers[1].base);
    CU_ASSERT_NOT_EQUAL(headers[0].heap_id, headers[1].heap_id);

    CU_ASSERT(ga_fixture_in_process(ga_daemon_path("copy"), ga_fixture_drop));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify)); /* two heaps, not one */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&copy, SIGTERM), 0);
    const char *arguments[] = {"--restore", file,   "--socket",  path,
                               "--name",    second, "--replace", NULL};
    struct ga_daemon_setup setup = {.keep = true};
    CU_ASSERT_FATAL(ga_daemon_launch(&copy, &setup, arguments) && ga_daemon_wait(&copy));
    live_on(&copy, second, path);
    CU_ASSERT_EQUAL(GA_CTL(&other, "destroy", heap), 0);
}

/* A heap without a single object. */
static void test_empty(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("empty");
    const char *path = ga_daemon_path("empty");
    const char *file = ga_daemon_path("empty.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, "--ephemeral", NULL));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", file), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FATAL(ga_fixture_restore(&daemon, file, NULL, path));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    live_on(&daemon, heap, path);
}

/* ---- who holds it up ---- */

static void test_clients(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("busy");
    const char *path = ga_daemon_path("busy");
    const char *file = ga_daemon_path("busy.snap");
    char me[64];
    struct goalloc_heap *attached = NULL;
    snprintf(me, sizeof(me), "process %d (integration_sna", (int)getpid());
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT_EQUAL(goalloc_attach(path, NULL, &attached), 0);
    CU_ASSERT(ga_fixture_build(attached));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "--wait", "0", file), 3);
    SAYS(run.err, "1 client is attached and has not paused; pause, detach or end:");
    SAYS(run.err, me);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 3);
    SAYS(run.err, "lives: ask it with --socket");
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 3);
    SAYS(run.err, "1 client lives");
    SAYS(run.err, me);
    CU_ASSERT(access(file, F_OK) < 0);
    goalloc_detach(attached);
    /* Nobody is there to hear of the detach; the next server takes it for one that lives. */
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 3);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap), 0);
}

/* What is in a handle goes with its client, whichever server hears of that. */
static bool build_and_die(struct goalloc_heap *heap)
{
    const char *server = getenv("SERVER_PID");
    if (server && ga_fixture_build(heap) && goalloc_malloc_into(heap, 100, goalloc_slot(heap, 0)) &&
        kill((pid_t)atoi(server), SIGKILL) == 0)
        kill(getpid(), SIGKILL);
    return false;
}

/* Server and client killed; and the file says that both are processes that live, as it may seem on
 * another machine. */
static void test_dead(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("dead");
    const char *path = ga_daemon_path("dead");
    const char *file = ga_daemon_path("dead.snap");
    char pid[32];
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    snprintf(pid, sizeof(pid), "%d", (int)daemon.pid);
    setenv("SERVER_PID", pid, 1);
    CU_ASSERT_FALSE(ga_fixture_in_process(path, build_and_die));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 256 + SIGKILL);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap), 0);

    struct ga_file bytes = ga_file_load(file);
    CU_ASSERT_FATAL(ga_file_is_whole(&bytes));
    struct ga_meta_header header;
    struct ga_client_entry client;
    size_t place = ga_file_place(&bytes, GA_OBJECT_META, 0);
    memcpy(&header, bytes.bytes + place, sizeof(header));
    CU_ASSERT_EQUAL_FATAL(header.client_end, 1);
    header.server_pid = (uint32_t)getpid();
    CU_ASSERT_EQUAL(ga_process_start_time(header.server_pid, &header.server_start_time), 0);
    memcpy(bytes.bytes + place, &header, sizeof(header));
    place = ga_file_place(&bytes, GA_OBJECT_META, header.clients_offset);
    CU_ASSERT_NOT_EQUAL_FATAL(place, 0);
    memcpy(&client, bytes.bytes + place, sizeof(client));
    CU_ASSERT_EQUAL(client.state, GA_CLIENT_ATTACHED);
    client.pid = header.server_pid;
    client.start_time = header.server_start_time;
    memcpy(bytes.bytes + place, &client, sizeof(client));
    ga_file_seal(&bytes);
    CU_ASSERT(ga_file_save(file, &bytes));
    ga_file_fini(&bytes);

    CU_ASSERT_FATAL(ga_fixture_restore(&daemon, file, NULL, path));
    CU_ASSERT(ga_daemon_said(&daemon, "' over: 0 of its clients live, 1 have ended\n"));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    live_on(&daemon, heap, path);
}

/* Quiet is there for one connection, nobody attaches meanwhile, and it ends with the connection. */
static void test_quiet(void)
{
    struct ga_daemon daemon;
    struct ga_wire one;
    struct ga_wire two;
    const char *path = ga_daemon_path("quiet");
    char detail[128];
    Goalloc__V1__Quiesce quiesce = GOALLOC__V1__QUIESCE__INIT;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    attach.layout_version = GA_LAYOUT_VERSION;
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, ga_daemon_heap("quiet"), path, "--ephemeral", NULL));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&one, path));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&two, path));
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&one, GOALLOC__V1__ENVELOPE__BODY_QUIESCE, &quiesce);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_QUIET);
    CU_ASSERT_EQUAL(reply->quiet->nclients, 0);
    snprintf(detail, sizeof(detail), "process %d takes a snapshot of the heap already",
             (int)getpid());
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&two, GOALLOC__V1__ENVELOPE__BODY_QUIESCE, &quiesce),
                                 -EBUSY, detail));
    snprintf(detail, sizeof(detail),
             "process %d takes a snapshot of the heap: attach again when it is done",
             (int)getpid());
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&two, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach),
                                 -EBUSY, detail));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", ga_daemon_path("none")), 3);
    SAYS(run.err, "takes a snapshot of the heap already");
    ga_wire_close(&one);
    /* The server hears of the end in its own time. */
    for (int i = 0; i < 2000; i++) {
        reply = ga_wire_ask(&two, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach);
        if (reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_ATTACHED)
            break;
        usleep(1000);
    }
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_ATTACHED);
    reply = ga_wire_ask(&two, GOALLOC__V1__ENVELOPE__BODY_QUIESCE, &quiesce);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_QUIET);
    CU_ASSERT_EQUAL(reply->quiet->nclients, 1);
    CU_ASSERT_EQUAL_FATAL(reply->quiet->n_clients, 1);
    CU_ASSERT_EQUAL(reply->quiet->clients[0]->pid, (uint32_t)getpid());
    ga_wire_close(&two);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

/* A heap without a server is read under the lock that a server would need. */
static void test_locked(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("locked");
    const char *path = ga_daemon_path("locked");
    const char *file = ga_daemon_path("locked.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    int fd = ga_daemon_open_object(heap, "meta", O_RDWR);
    CU_ASSERT_EQUAL(ga_server_lock_take(fd), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 3);
    SAYS(run.err, "a server, or another snapshot, holds it");
    close(fd);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", file), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap), 0);
}

/* ---- how it is written ---- */

/* In a child: io_uring is refused from now on. */
static bool refuse_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static bool has_io_uring(void)
{
    char parameters[120] = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 1, parameters);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A snapshot by a child that is restricted as the kind says; whether it said needle and ended with
 * code. */
static bool write_in_child(const char *path, const char *file, bool no_ring, rlim_t bytes_max,
                           int code, const char *needle)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {bytes_max, bytes_max};
        if ((no_ring && !refuse_io_uring()) ||
            (bytes_max != 0 && setrlimit(RLIMIT_FSIZE, &limit) < 0))
            _exit(2);
        int got = GA_CTL(&run, "--socket", path, "snapshot", "--verbose", file);
        bool good = got == code && strstr(run.err, needle);
        if (!good)
            printf("code %d: %s", got, run.err);
        fflush(stdout);
        ga_run_fini(&run);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_engines(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("engine");
    const char *path = ga_daemon_path("engine");
    const char *file = ga_daemon_path("engine.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, "--ephemeral", NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    if (has_io_uring())
        CU_ASSERT(write_in_child(path, file, false, 0, 0, "writing with io_uring, 4 registered"));
    CU_ASSERT(write_in_child(path, file, true, 0, 0,
                             "writing with pwrite (io_uring is refused: Operation not permitted)"));
    struct ga_file old = ga_file_load(file);
    CU_ASSERT(ga_file_is_whole(&old));
    /* What does not fit leaves the old file. */
    for (int no_ring = 0; no_ring < 2; no_ring++)
        CU_ASSERT(write_in_child(path, file, no_ring, 600000, 1, "File too large"));
    struct ga_file still = ga_file_load(file);
    CU_ASSERT(still.nbytes == old.nbytes && memcmp(still.bytes, old.bytes, old.nbytes) == 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", ga_daemon_folder()), 1);
    SAYS(run.err, "is there already and is no file");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "/no/such/folder/file"), 1);
    SAYS(run.err, "cannot be made: No such file or directory");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot"), 2);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "one", "two"), 2);
    SAYS(run.err, "'snapshot' takes one FILE: 'two' is too much after 'one'");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "one", "--wait", "86401"), 2);
    SAYS(run.err, "'86401' is no value for '--wait': give a number from 0 to 86400");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", heap, "snapshot", "one", "--wait", "1"), 2);
    SAYS(run.err, "'--wait' and '--shm' do not go together");
    ga_file_fini(&old);
    ga_file_fini(&still);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FATAL(ga_fixture_restore(&daemon, file, NULL, path));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    live_on(&daemon, heap, path);
}

/* On a terminal there is a bar, which is gone at the end; nowhere else, and not with --quiet. */
static void shows_bar(const char *path, const char *file, const char *option, bool expected)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    CU_ASSERT_FATAL(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int inner = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(inner, STDERR_FILENO);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execl(GOALLOCCTL_PATH, "goallocctl", "--socket", path, "snapshot", file, option, NULL);
        _exit(127);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
    /* A terminal hands on what was written in pieces, until nobody has its other end open. */
    close(inner);
    char text[8192] = "";
    size_t length = 0;
    ssize_t n;
    while ((n = read(terminal, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)n;
    CU_ASSERT_EQUAL(strstr(text, "MiB/s") != NULL || strstr(text, "GiB/s") != NULL, expected);
    CU_ASSERT_EQUAL(strstr(text, "#.") != NULL || strstr(text, "##]") != NULL, expected);
    CU_ASSERT_EQUAL(strstr(text, "flushing to the disk\r\033[K") != NULL, expected);
    close(terminal);
}

static void test_progress(void)
{
    struct ga_daemon daemon;
    const char *path = ga_daemon_path("bar");
    const char *file = ga_daemon_path("bar.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, ga_daemon_heap("bar"), path, "--ephemeral", NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    shows_bar(path, file, NULL, true);
    shows_bar(path, file, "--quiet", false);
    shows_bar(path, file, "--json", false);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a heap comes back as it was", test_round_trip},
        {"a copy under another name", test_another_name},
        {"an empty heap", test_empty},
        {"clients hold it up, and are named", test_clients},
        {"a heap of dead processes, and pids that mean others", test_dead},
        {"quiet lasts as long as the connection", test_quiet},
        {"a server's lock", test_locked},
        {"io_uring, pwrite, and files that do not fit", test_engines},
        {"a bar on a terminal", test_progress},
    };
    int code = ga_test_main("integration.snapshot", tests, COUNT(tests));
    ga_run_fini(&run);
    ga_run_fini(&other);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
