/* How a server starts, why it does not, and what it leaves: nothing when it ends, however that
 * comes about, and after it was killed something that the next one knows. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/start_fixture.h"
#include "integration/wire.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define NOBODY 65534

static void end_in_order(struct ga_daemon *daemon, int signal_number, const char *heap,
                         const char *path)
{
    CU_ASSERT_EQUAL(ga_daemon_end(daemon, signal_number), 0);
    CU_ASSERT(access(path, F_OK) < 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void test_life(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    const char *heap = ga_daemon_heap("life");
    const char *path = ga_daemon_path("life");
    for (int i = 0; i < 3; i++) {
        struct ga_daemon daemon;
        struct ga_wire wire;
        struct stat st;
        CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, "--log-level", "info"));
        CU_ASSERT(ga_daemon_said(&daemon, "goallocd: info: ready: heap '"));
        CU_ASSERT(ga_daemon_said(&daemon, ", reserve 64 MiB, limit 64 MiB\n"));
        CU_ASSERT(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
        CU_ASSERT(ga_wire_open_attached(&wire, path));
        end_in_order(&daemon, signals[i], heap, path);
        CU_ASSERT(ga_wire_is_ended(&wire));
        ga_wire_close(&wire);
        CU_ASSERT(ga_daemon_said(&daemon, "has ended\n"));
    }
}

/* The lock on the socket's folder keeps the server where its objects are made and its socket is
 * not. */
static void test_signal_at_the_start(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    const char *heap = ga_daemon_heap("early");
    const char *path = ga_daemon_path("early");
    const char *arguments[] = {"--name", heap, "--socket", path, "--reserve", "64M", NULL};
    for (int i = 0; i < 3; i++) {
        struct ga_daemon daemon;
        struct ga_daemon_setup setup = {0};
        int object = -1;
        int lock = open(ga_daemon_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CU_ASSERT_FATAL(lock >= 0 && flock(lock, LOCK_EX) == 0);
        CU_ASSERT_FATAL(ga_daemon_launch(&daemon, &setup, arguments));
        for (int n = 0; n < 10000 && object < 0; n++) {
            usleep(1000);
            object = ga_daemon_open_object(heap, "heap", O_RDONLY);
        }
        CU_ASSERT(object >= 0);
        close(object);
        kill(daemon.pid, signals[i]);
        close(lock);
        end_in_order(&daemon, 0, heap, path);
    }
}

/* Signals that go on coming while the server ends. */
static void test_signals_at_the_end(void)
{
    const char *heap = ga_daemon_heap("late");
    const char *path = ga_daemon_path("late");
    for (int round = 0; round < 5; round++) {
        struct ga_daemon daemon;
        CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, NULL, NULL));
        for (int i = 0; i < 200; i++) {
            kill(daemon.pid, i % 2 ? SIGTERM : SIGHUP);
            usleep(50);
        }
        end_in_order(&daemon, 0, heap, path);
    }
}

/* Whether an object of heap begins with magic. */
static bool begins_with(const char *heap, const char *suffix, uint64_t magic)
{
    uint64_t found = 0;
    int fd = ga_daemon_open_object(heap, suffix, O_RDONLY);
    bool good = fd >= 0 && pread(fd, &found, sizeof(found), 0) == sizeof(found) && found == magic;
    close(fd);
    return good;
}

/* What is opened gets the lowest free number; none of it must become stdin, stdout or stderr, or
 * the log would be written to it. */
static void test_no_stdio(void)
{
    static const struct ga_daemon_setup setups[] = {{.closed_stdio = true}, {.ready_fd = 2}};
    const char *heap = ga_daemon_heap("closed");
    const char *path = ga_daemon_path("stdio");
    const char *arguments[] = {"--name", heap,          "--socket", path, "--reserve",
                               "64M",    "--log-level", "debug",    NULL};
    for (int i = 0; i < 2; i++) {
        struct ga_daemon daemon;
        struct ga_wire wires[2];
        CU_ASSERT_FATAL(ga_daemon_launch(&daemon, &setups[i], arguments));
        CU_ASSERT_FATAL(ga_daemon_wait(&daemon));
        CU_ASSERT(ga_wire_open_attached(&wires[0], path));
        CU_ASSERT(ga_wire_open_attached(&wires[1], path));
        CU_ASSERT(begins_with(heap, "meta", GA_META_MAGIC));
        CU_ASSERT(begins_with(heap, "bits", GA_BITS_MAGIC));
        ga_wire_close(&wires[0]);
        ga_wire_close(&wires[1]);
        end_in_order(&daemon, SIGTERM, heap, path);
    }
}

/* Attach, and lease spans of mcache 1. */
static bool attach_and_lease(struct ga_wire *wire, const char *path)
{
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = 1;
    lease.span_class = 10;
    lease.count = 5;
    if (!ga_wire_open_attached(wire, path))
        return false;
    ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &new_mcache);
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_LEASE, &lease);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_LEASES;
}

/* Have the server use its objects; whether it answers or ends does not matter. */
static void lease_more(struct ga_wire *wire)
{
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = 1;
    lease.count = 64;
    for (lease.span_class = 2; lease.span_class < GA_SPAN_CLASS_COUNT; lease.span_class++)
        if (!ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_LEASE, &lease))
            return;
    ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_SYNC, &sync);
}

static bool cut_to_nothing(int fd)
{
    return ftruncate(fd, 0) == 0;
}

/* As long as before, and empty. */
static bool cut_and_stretch(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && ftruncate(fd, 4096) == 0 && ftruncate(fd, st.st_size) == 0;
}

static bool punch_a_hole(int fd)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GA_PAGE_SIZE) == 0;
}

/* The server ends the heap in order and says why, whether it is used meanwhile or not. */
static void damage(const char *object, bool (*hurt)(int fd), bool used)
{
    struct ga_daemon daemon;
    struct ga_wire wire;
    const char *heap = ga_daemon_heap("cut");
    const char *path = ga_daemon_path("cut");
    CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, NULL, NULL));
    CU_ASSERT_FATAL(attach_and_lease(&wire, path));
    int meta = ga_daemon_open_object(heap, "meta", O_RDONLY);
    int fd = ga_daemon_open_object(heap, object, O_RDWR);
    CU_ASSERT(meta >= 0 && fd >= 0 && hurt(fd));
    if (used)
        lease_more(&wire);

    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 1);
    ga_wire_close(&wire);
    char line[200];
    snprintf(line, sizeof(line),
             "goallocd: error: heap '%s' was damaged from outside: its %s object was truncated\n",
             heap, object);
    CU_ASSERT(ga_daemon_said(&daemon, line));
    if (strcmp(object, "meta") != 0) { /* there, clients are told by their connections alone */
        struct ga_meta_header header = {0};
        CU_ASSERT(pread(meta, &header, sizeof(header), 0) == sizeof(header));
        CU_ASSERT_EQUAL(header.state, GA_HEAP_ENDED);
    }
    CU_ASSERT(access(path, F_OK) < 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
    close(meta);
    close(fd);
}

static void test_truncated(void)
{
    static const char *const objects[] = {"meta", "bits", "heap"};
    for (int i = 0; i < 3; i++) {
        damage(objects[i], cut_to_nothing, true);
        damage(objects[i], cut_to_nothing, false);
        damage(objects[i], cut_and_stretch, i % 2);
    }
    damage("bits", punch_a_hole, false);
}

/* Who can read meta can lock it as far as readers can: the next server starts nevertheless, and a
 * heap without a server can be told from one with it. */
static void test_locked_by_a_reader(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("locked");
    const char *path = ga_daemon_path("locked");
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, NULL, NULL));
        int meta = ga_daemon_open_object(heap, "meta", O_RDONLY);
        CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        int r = i == 0 ? flock(meta, LOCK_EX | LOCK_NB) : fcntl(meta, F_OFD_SETLK, &lock);
        CU_ASSERT_EQUAL(r, 0);
        CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, "--log-level", "info"));
        CU_ASSERT(ga_daemon_said(&daemon, "goallocd: info: took heap '"));
        CU_ASSERT_EQUAL(ga_daemon_said(&daemon, "a reader locks the meta object"), i == 1);
        end_in_order(&daemon, SIGTERM, heap, path);
        close(meta);
    }
}

static void test_same_heap(void)
{
    struct ga_daemon first;
    struct ga_daemon second;
    const char *heap = ga_daemon_heap("same");
    const char *path = ga_daemon_path("first");
    CU_ASSERT_FATAL(ga_start_beside(&first, heap, path, NULL, NULL));
    char sentence[160];
    snprintf(sentence, sizeof(sentence), "heap '%s' is served by process %d", heap, (int)first.pid);
    ga_expect_refusal(&second, ga_start_beside(&second, heap, ga_daemon_path("second"), NULL, NULL),
                      3, sentence);
    ga_expect_refusal(&second,
                      ga_start_beside(&second, heap, ga_daemon_path("second"), "--replace", NULL),
                      3, sentence);
    CU_ASSERT(ga_daemon_left_objects(heap));
    end_in_order(&first, SIGTERM, heap, path);
}

static void test_same_socket(void)
{
    struct ga_daemon first;
    struct ga_daemon second;
    struct ga_wire wire;
    const char *heap = ga_daemon_heap("one");
    const char *other = ga_daemon_heap("two");
    const char *path = ga_daemon_path("shared");
    CU_ASSERT_FATAL(ga_start_beside(&first, heap, path, NULL, NULL));
    char sentence[160];
    snprintf(sentence, sizeof(sentence), "another server listens on %s", path);
    ga_expect_refusal(&second, ga_start_beside(&second, other, path, NULL, NULL), 9, sentence);
    CU_ASSERT_FALSE(ga_daemon_left_objects(other));
    CU_ASSERT(ga_wire_open_attached(&wire, path));
    ga_wire_close(&wire);
    end_in_order(&first, SIGTERM, heap, path);
}

/* After a kill the socket is replaced without a word. The heap is taken over, unless --replace asks
 * for a new one. */
static void test_after_a_kill(void)
{
    struct ga_daemon daemon;
    struct ga_wire wire;
    const char *heap = ga_daemon_heap("killed");
    const char *other = ga_daemon_heap("other");
    const char *path = ga_daemon_path("killed");
    CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, NULL, NULL));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT(access(path, F_OK) == 0);

    CU_ASSERT_FATAL(ga_start_beside(&daemon, other, path, NULL, NULL));
    CU_ASSERT(ga_wire_open_attached(&wire, path));
    ga_wire_close(&wire);
    end_in_order(&daemon, SIGTERM, other, path);

    CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, "--log-level", "info"));
    CU_ASSERT(ga_daemon_said(&daemon, "goallocd: info: took heap '"));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(ga_start_beside(&daemon, heap, path, "--replace", NULL));
    CU_ASSERT(ga_daemon_said(&daemon, "goallocd: info: removed the heap '"));
    CU_ASSERT_FALSE(ga_daemon_said(&daemon, "took heap"));
    CU_ASSERT(ga_wire_open_attached(&wire, path));
    ga_wire_close(&wire);
    end_in_order(&daemon, SIGTERM, heap, path);
}

static void test_bad_places(void)
{
    struct ga_daemon daemon;
    char sentence[400];
    const char *heap = ga_daemon_heap("places");
    const char *path = ga_daemon_path("none/sock");
    snprintf(sentence, sizeof(sentence),
             "the socket %s cannot be made: there is no directory %s/none: make it, or give "
             "--socket",
             path, ga_daemon_folder());
    ga_expect_refusal(&daemon, ga_start_beside(&daemon, heap, path, NULL, NULL), 5, sentence);

    const char *file = ga_daemon_path("file");
    fclose(fopen(file, "w"));
    snprintf(sentence, sizeof(sentence),
             "%s is there already and is no socket: it is left as it is", file);
    ga_expect_refusal(&daemon, ga_start_beside(&daemon, heap, file, NULL, NULL), 9, sentence);
    CU_ASSERT(access(file, F_OK) == 0);

    path = ga_daemon_path("file/sock");
    snprintf(sentence, sizeof(sentence),
             "the socket %s cannot be made: %s is no directory: give another --socket", path, file);
    ga_expect_refusal(&daemon, ga_start_beside(&daemon, heap, path, NULL, NULL), 5, sentence);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
    unlink(file);
}

/* Root may write everywhere, so then the server runs as somebody else. */
static void test_no_right(void)
{
    struct ga_daemon daemon;
    char sentence[400];
    const char *closed = ga_daemon_path("closed");
    const char *path = ga_daemon_path("closed/sock");
    const char *heap = ga_daemon_heap("rights");
    CU_ASSERT_FATAL(mkdir(closed, 0500) == 0);
    CU_ASSERT_FATAL(chmod(closed, 0555) == 0 && chmod(ga_daemon_folder(), 0755) == 0);
    snprintf(sentence, sizeof(sentence),
             "the socket %s cannot be made: no right to write in %s: give another --socket", path,
             closed);
    const char *arguments[] = {"--name", heap, "--socket", path, "--reserve", "64M", NULL};
    ga_expect_refusal(&daemon, ga_daemon_start(&daemon, geteuid() == 0 ? NOBODY : 0, arguments), 6,
                      sentence);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
    rmdir(closed);
}

/* Where the heap served at path lies. */
static uint64_t base_of(const char *path)
{
    struct ga_wire wire;
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    const Goalloc__V1__Envelope *reply =
        ga_wire_open_greeted(&wire, path)
            ? ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, &body)
            : NULL;
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_STATUS);
    uint64_t base = reply->status->heap_base;
    ga_wire_close(&wire);
    return base;
}

/* Heaps get addresses of their own, so that a process can attach them all; also more heaps than
 * there are windows. */
static void test_addresses(void)
{
    enum { HEAPS = 2 * GA_WINDOW_COUNT + 1 };
    struct ga_daemon daemons[HEAPS];
    uint64_t bases[HEAPS];
    char heaps[HEAPS][64];
    char paths[HEAPS][64];
    for (int i = 0; i < HEAPS; i++) {
        char suffix[16];
        snprintf(suffix, sizeof(suffix), "at%d", i);
        snprintf(heaps[i], sizeof(heaps[i]), "%s", ga_daemon_heap(suffix));
        snprintf(paths[i], sizeof(paths[i]), "%s", ga_daemon_path(suffix));
        CU_ASSERT_FATAL(ga_start_beside(&daemons[i], heaps[i], paths[i], NULL, NULL));
        bases[i] = base_of(paths[i]);
        for (int j = 0; j < i; j++)
            CU_ASSERT(bases[i] >= bases[j] + GA_ARENA_SIZE || bases[j] >= bases[i] + GA_ARENA_SIZE);
    }
    for (int i = 0; i < HEAPS; i++)
        end_in_order(&daemons[i], SIGTERM, heaps[i], paths[i]);

    struct ga_daemon daemon;
    CU_ASSERT_FATAL(ga_start_beside(&daemon, heaps[0], paths[0], "--base", "0x554fc0000000"));
    CU_ASSERT(ga_daemon_said(&daemon, "base 0x554fc0000000, "));
    end_in_order(&daemon, SIGTERM, heaps[0], paths[0]);
}

/* A header as of a heap from base on that lies in every window of its side. */
static void make_wide(const char *file, uint64_t base, uid_t owner)
{
    struct ga_meta_header header = {.magic = GA_META_MAGIC,
                                    .layout_version = GA_LAYOUT_VERSION,
                                    .header_bytes = sizeof(header),
                                    .server_pid = (uint32_t)getpid(),
                                    .base = base,
                                    .reserve_bytes = GA_RESERVE_MAX};
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0 && fchown(fd, owner, (gid_t)-1) == 0);
    CU_ASSERT(write(fd, &header, sizeof(header)) == sizeof(header) && fchmod(fd, 0644) == 0);
    close(fd);
}

/* When the low windows are taken, the high ones serve. */
static void test_high_windows(void)
{
    char file[128];
    snprintf(file, sizeof(file), "/dev/shm/goalloc.%s.meta", ga_daemon_heap("wide"));
    make_wide(file, GA_WINDOW_LOW, geteuid());
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("high");
    const char *path = ga_daemon_path("high");
    bool ready = ga_start_beside(&daemon, heap, path, NULL, NULL);
    CU_ASSERT(unlink(file) == 0);
    CU_ASSERT_FATAL(ready && base_of(path) >= GA_WINDOW_HIGH);
    end_in_order(&daemon, SIGTERM, heap, path);
}

/* With what others have put in /dev/shm under the name of a heap, a server of that name does not
 * start, and any other does. */
static void others_start_beside(const char *heap)
{
    struct ga_daemon daemon;
    const char *other = ga_daemon_heap("beside");
    const char *path = ga_daemon_path("beside");
    CU_ASSERT(ga_start_beside(&daemon, other, path, NULL, NULL));
    end_in_order(&daemon, SIGTERM, other, path);
    char sentence[320];
    snprintf(sentence, sizeof(sentence),
             "the name '%s' is taken: /dev/shm/goalloc.%s.meta is another user's, or no heap at "
             "all; it is left as it is",
             heap, heap);
    ga_expect_refusal(&daemon, ga_start_beside(&daemon, heap, path, "--replace", NULL), 6,
                      sentence);
}

static void test_strange_neighbours(void)
{
    char file[128];
    const char *heap = ga_daemon_heap("strange");
    snprintf(file, sizeof(file), "/dev/shm/goalloc.%s.meta", heap);
    CU_ASSERT_FATAL(mkfifo(file, 0666) == 0);
    others_start_beside(heap);
    CU_ASSERT(unlink(file) == 0);

    /* Another user's headers that claim every window there is. Only root can make them. */
    if (geteuid() != 0)
        return;
    char high[128];
    snprintf(high, sizeof(high), "/dev/shm/goalloc.%s.meta", ga_daemon_heap("strange2"));
    make_wide(file, GA_WINDOW_LOW, NOBODY);
    make_wide(high, GA_WINDOW_HIGH, NOBODY);
    others_start_beside(heap);
    CU_ASSERT(unlink(file) == 0 && unlink(high) == 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a life in order", test_life},
        {"signals while it starts", test_signal_at_the_start},
        {"the low windows taken", test_high_windows},
        {"signals while it ends", test_signals_at_the_end},
        {"no stdin, stdout or stderr", test_no_stdio},
        {"an object that is truncated", test_truncated},
        {"a meta object that a reader locks", test_locked_by_a_reader},
        {"a second server of the same heap", test_same_heap},
        {"a second server on the same socket", test_same_socket},
        {"after a kill", test_after_a_kill},
        {"places where no socket can be", test_bad_places},
        {"no right to the socket's directory", test_no_right},
        {"addresses", test_addresses},
        {"what others put in /dev/shm", test_strange_neighbours},
    };
    return ga_start_main("server_start", tests, sizeof(tests) / sizeof(tests[0]));
}
