/* Whom the server serves, and with how much: lists of users and groups, the rights of clients of
 * another user, quotas as a program meets them. What takes a second user is left out, by name,
 * where the test is not root. */
#include <errno.h>
#include <fcntl.h>
#include <goalloc/goalloc.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "shm/layout.h"
#include "wire.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NOBODY   65534u
#define OTHER    54321u /* no such user; a number is enough */

static bool may_change_user(void)
{
    if (geteuid() == 0)
        return true;
    fprintf(stderr, "not root: what takes a second user is left out\n");
    return false;
}

static bool start(struct ga_daemon *daemon, uid_t uid, const char *heap, const char *path,
                  const char *const *more)
{
    const char *arguments[16] = {"--name", heap, "--socket", path, "--reserve", "64M"};
    size_t n = 6;
    while (*more)
        arguments[n++] = *more++;
    struct ga_daemon_setup setup = {.uid = uid};
    return ga_daemon_launch(daemon, &setup, arguments) && ga_daemon_wait(daemon);
}

/* Run body in a child that is uid and in group, and return its exit code. */
static int run_as(uid_t uid, gid_t group, int (*body)(const char *heap, const char *path),
                  const char *heap, const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(group ? 1 : 0, &group) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
            _exit(99);
        _exit(body(heap, path));
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* ---- other users ---- */

/* Everything a client does, and what it must not. Returns 0, or the number of what went wrong. */
static int use_as_client(const char *heap_name, const char *path)
{
    struct goalloc_heap *heap;
    if (goalloc_attach(path, NULL, &heap) < 0)
        return 1;
    char *small = goalloc_malloc(heap, 100);
    char *large = goalloc_malloc(heap, 100000);
    if (!small || !large)
        return 2;
    memset(small, 1, 100);
    memset(large, 1, 100000);
    void *old;
    if (goalloc_replace(heap, "theirs", small, &old) < 0)
        return 3;
    goalloc_free(heap, large);

    int fd = ga_daemon_open_object(heap_name, "meta", O_RDWR);
    if (fd >= 0 || errno != EACCES)
        return 4;
    fd = ga_daemon_open_object(heap_name, "meta", O_RDONLY);
    if (fd < 0 || ftruncate(fd, 0) == 0)
        return 5;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
        return 6;
    char name[128];
    snprintf(name, sizeof(name), "/dev/shm/goalloc.%s.meta", heap_name);
    if (unlink(name) == 0 || chmod(name, 0666) == 0 || truncate(name, 0) == 0)
        return 7;
    close(fd);
    goalloc_detach(heap);
    return 0;
}

static int attach_fails(const char *heap_name, const char *path)
{
    (void)heap_name;
    struct goalloc_heap *heap;
    return goalloc_attach(path, NULL, &heap);
}

static int is_refused_by_list(const char *heap_name, const char *path)
{
    int r = attach_fails(heap_name, path);
    char sentence[128];
    snprintf(sentence, sizeof(sentence),
             "%s: the server refused: user %u is not among those that may use this heap", path,
             (unsigned)getuid());
    return r == -EACCES && strcmp(goalloc_attach_error(), sentence) == 0 ? 0 : 1;
}

static int is_refused_by_rights(const char *heap_name, const char *path)
{
    return attach_fails(heap_name, path) == -EACCES ? 0 : 1;
}

/* A server of its own user, and clients of another by a group that they share. */
static void by_group(void)
{
    if (!may_change_user())
        return;
    const char *heap = ga_daemon_heap("group");
    const char *path = ga_daemon_path("group.sock");
    struct ga_daemon daemon;
    CU_ASSERT_EQUAL(chmod(ga_daemon_folder(), 0777), 0);
    CU_ASSERT_FATAL(start(&daemon, NOBODY, heap, path,
                          (const char *const[]){"--group", "65534", "--ephemeral", NULL}));
    CU_ASSERT_EQUAL(run_as(OTHER, NOBODY, use_as_client, heap, path), 0);
    CU_ASSERT_EQUAL(run_as(OTHER, 0, is_refused_by_rights, heap, path), 0);
    struct stat st;
    int fd = ga_daemon_open_object(heap, "bits", O_RDONLY);
    CU_ASSERT(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0660);
    close(fd);
    fd = ga_daemon_open_object(heap, "meta", O_RDONLY);
    CU_ASSERT(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
    close(fd);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void by_lists(void)
{
    if (!may_change_user())
        return;
    const char *heap = ga_daemon_heap("lists");
    const char *path = ga_daemon_path("lists.sock");
    struct ga_daemon daemon;
    CU_ASSERT_EQUAL(chmod(ga_daemon_folder(), 0777), 0);
    CU_ASSERT_FATAL(start(&daemon, 0, heap, path,
                          (const char *const[]){"--mode", "666", "--allow-user", "1,54321",
                                                "--allow-group", "54322", "--ephemeral", NULL}));
    CU_ASSERT_EQUAL(run_as(OTHER, 0, use_as_client, heap, path), 0);
    CU_ASSERT_EQUAL(run_as(NOBODY, 54323, is_refused_by_list, heap, path), 0);
    char line[160];
    snprintf(line, sizeof(line), " of user %u is refused: it is on no list of who may use the heap",
             NOBODY);
    CU_ASSERT(ga_daemon_said(&daemon, line));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);

    CU_ASSERT_FATAL(start(
        &daemon, 0, heap, path,
        (const char *const[]){"--mode", "666", "--allow-group", "54322", "--ephemeral", NULL}));
    CU_ASSERT_EQUAL(run_as(NOBODY, 54322, use_as_client, heap, path), 0); /* not its first group */
    CU_ASSERT_EQUAL(run_as(OTHER, 0, is_refused_by_list, heap, path), 0);
    CU_ASSERT_EQUAL(run_as(0, 0, use_as_client, heap, path), 4); /* root is served, and may all */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

/* ---- quotas ---- */

/* Allocate until there is no more, free some, and go on; twice. */
static void exhaust(struct goalloc_heap *heap, size_t size, size_t most)
{
    static void *objects[4096];
    size_t n = 0;
    for (int round = 0; round < 2; round++) {
        errno = 0;
        while (n < COUNT(objects) && (objects[n] = goalloc_malloc(heap, size)))
            memset(objects[n++], 1, size);
        CU_ASSERT_EQUAL(errno, ENOMEM);
        CU_ASSERT(n > 0 && n * size <= most);
        for (size_t k = 0; k < n / 2; k++)
            goalloc_free(heap, objects[--n]);
    }
    while (n > 0)
        goalloc_free(heap, objects[--n]);
}

static void memory(void)
{
    const char *heap_name = ga_daemon_heap("memory");
    const char *path = ga_daemon_path("memory.sock");
    struct ga_daemon daemon;
    CU_ASSERT_FATAL(
        start(&daemon, 0, heap_name, path,
              (const char *const[]){"--quota", "bytes=2M,connections=2", "--ephemeral", NULL}));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(path, NULL, &heap), 0);
    exhaust(heap, 1024, 2 << 20);
    exhaust(heap, 100000, 2 << 20);
    exhaust(heap, 8192, 2 << 20);
    /* Where it lies there would be room. */
    void *object = goalloc_malloc(heap, 1200000);
    CU_ASSERT_PTR_NOT_NULL(object);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_realloc(heap, object, 3 << 20));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    goalloc_free(heap, object);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

static void roots_and_connections(void)
{
    const char *heap_name = ga_daemon_heap("roots");
    const char *path = ga_daemon_path("roots.sock");
    struct ga_daemon daemon;
    CU_ASSERT_FATAL(start(&daemon, 0, heap_name, path,
                          (const char *const[]){"--quota", "connections=1", "--client-quota",
                                                "roots=2", "--ephemeral", NULL}));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(path, NULL, &heap), 0);
    void *p = goalloc_malloc(heap, 10);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "a", p), 0);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "b", p), 0);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "c", p), -EDQUOT);
    void *old;
    CU_ASSERT_EQUAL(goalloc_replace(heap, "c", p, &old), -EDQUOT);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "a"), 0);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "c", p), 0);

    struct goalloc_heap *second;
    CU_ASSERT_EQUAL(goalloc_attach(path, NULL, &second), -EDQUOT);
    char sentence[200];
    snprintf(sentence, sizeof(sentence),
             "%s: the server refused: the quota of user %u is used up: connections=1", path,
             (unsigned)getuid());
    CU_ASSERT_STRING_EQUAL(goalloc_attach_error(), sentence);
    goalloc_detach(heap);
    int r = -EDQUOT; /* until the server has seen that the first has hung up */
    for (int i = 0; i < 1000 && r == -EDQUOT; i++) {
        r = goalloc_attach(path, NULL, &heap);
        usleep(10000);
    }
    CU_ASSERT_EQUAL(r, 0);
    if (r == 0)
        goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

/* Ask for what there is no quota left of, by hand, so that the words of the refusal are seen. */
static bool is_refused(struct ga_wire *wire, Goalloc__V1__Envelope__BodyCase body_case, void *body,
                       const char *whose, const char *what)
{
    char detail[120];
    snprintf(detail, sizeof(detail), "the quota of %s is used up: %s", whose, what);
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, body_case, body);
    if (ga_wire_is_failure(reply, -EDQUOT, detail))
        return true;
    bool failed = reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_FAILURE;
    fprintf(stderr, "expected: %s\ngot:      %s\n", detail,
            failed ? reply->failure->detail : "no refusal");
    return false;
}

/* A client whose connection has ended is one as long as its process lives. */
static void refuse_attach(const char *path, const char *whose)
{
    struct ga_wire wire;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    attach.layout_version = GA_LAYOUT_VERSION;
    bool greeted = false;
    for (int i = 0; i < 1000 && !greeted; i++) {
        usleep(i > 0 ? 10000 : 0);
        greeted = ga_wire_open_greeted(&wire, path);
        if (!greeted)
            ga_wire_close(&wire); /* the last one is being closed */
    }
    CU_ASSERT_FATAL(greeted);
    CU_ASSERT(
        is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach, whose, "connections=1"));
    ga_wire_close(&wire);
}

static void what_is_said(void)
{
    struct ga_daemon daemon;
    struct ga_wire wire;
    char whose[32];
    const char *path = ga_daemon_path("said.sock");
    snprintf(whose, sizeof(whose), "user %u", (unsigned)getuid());
    CU_ASSERT_FATAL(
        start(&daemon, 0, ga_daemon_heap("said"), path,
              (const char *const[]){"--quota", "connections=1,mcaches=1,bytes=1M,roots=1",
                                    "--client-quota", "spans=3,holds=1", "--ephemeral", NULL}));
    CU_ASSERT_FATAL(ga_wire_open_attached(&wire, path));
    Goalloc__V1__NewMcache mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &mcache);
    CU_ASSERT(
        is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &mcache, whose, "mcaches=1"));
    Goalloc__V1__LargeAlloc large = GOALLOC__V1__LARGE_ALLOC__INIT;
    large.mcache = 1;
    large.size_bytes = 2 << 20;
    CU_ASSERT(
        is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC, &large, whose, "bytes=1048576"));
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = 1;
    lease.span_class = 10;
    lease.count = 3;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_LEASE, &lease);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_LEASES);
    uint64_t offset = (uint64_t)reply->leases->pages[0] * GA_PAGE_SIZE;
    CU_ASSERT(
        is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_LEASE, &lease, "the client", "spans=3"));
    Goalloc__V1__Publish publish = GOALLOC__V1__PUBLISH__INIT;
    publish.name = "a";
    publish.offset = offset;
    ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_PUBLISH, &publish);
    publish.name = "b";
    CU_ASSERT(is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_PUBLISH, &publish, whose, "roots=1"));
    Goalloc__V1__Hold hold = GOALLOC__V1__HOLD__INIT;
    hold.offset = offset;
    ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_HOLD, &hold);
    hold.offset = (uint64_t)GA_PAGE_SIZE * (offset / GA_PAGE_SIZE + 1);
    CU_ASSERT(is_refused(&wire, GOALLOC__V1__ENVELOPE__BODY_HOLD, &hold, "the client", "holds=1"));
    ga_wire_close(&wire);
    refuse_attach(path, whose);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
}

static void expect_usage(const char *option, const char *value)
{
    struct ga_daemon daemon;
    CU_ASSERT_FALSE(start(&daemon, 0, ga_daemon_heap("usage"), ga_daemon_path("usage.sock"),
                          (const char *const[]){option, value, NULL}));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 2);
    CU_ASSERT(ga_daemon_said(&daemon, "is not allowed: give "));
}

static void wrong_usage(void)
{
    static const char *const quotas[] = {"",
                                         "bytes",
                                         "bytes=",
                                         "bytes=1X",
                                         "spans=1K",
                                         "spans=-1",
                                         "spans=1,",
                                         "spams=1",
                                         "spans=1,,",
                                         "roots=1,roots=2",
                                         "spans=99999999999999999999"};
    static const char *const modes[] = {"", "66", "777", "060", "888", "1600", "-600"};
    static const char *const names[] = {"", "no-such-name-here", "1,", "4294967295", ",1"};
    for (size_t i = 0; i < COUNT(quotas); i++)
        expect_usage(i % 2 ? "--quota" : "--client-quota", quotas[i]);
    for (size_t i = 0; i < COUNT(modes); i++)
        expect_usage("--mode", modes[i]);
    for (size_t i = 0; i < COUNT(names); i++)
        expect_usage(i % 2 ? "--allow-user" : "--allow-group", names[i]);
    expect_usage("--group", "no-such-group-here");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"by group", by_group},
        {"by lists", by_lists},
        {"quotas of memory", memory},
        {"quotas of roots and connections", roots_and_connections},
        {"what is said when a quota is used up", what_is_said},
        {"wrong usage", wrong_usage},
    };
    int r = ga_test_main("trust", tests, COUNT(tests));
    ga_daemon_clean_up();
    return r;
}
