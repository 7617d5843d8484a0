/* goallocctl check: a heap in use is sound, by its socket and by its name, with its server and
 * without; and so is a dead one. What is spoilt in it is named, with the place and another exit
 * code, and nothing is allocated by looking. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define OBJECTS  500

static struct ga_daemon daemon_;
static char name[64];
static char socket_path[128];
static struct ga_run run;
static pid_t client;
static int to_client;

static int ctl(const char *const *words)
{
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    return run.code;
}
#define CTL(...)           ctl((const char *const[]){__VA_ARGS__, NULL})
#define SAYS(text, needle) CU_ASSERT_PTR_NOT_NULL(strstr(text, needle))

static uint64_t number(const char *key)
{
    return ga_json_number_of(run.out, key);
}

static uint64_t memory_of(const char *suffix)
{
    struct stat st = {0};
    int fd = ga_daemon_open_object(name, suffix, O_RDONLY);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    close(fd);
    return (uint64_t)st.st_blocks;
}

/* The client: it allocates, waits, and is killed. */
static int live_as_client(int from_parent, int to_parent)
{
    struct goalloc_heap *heap;
    if (goalloc_attach(socket_path, NULL, &heap) < 0)
        return 1;
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t bytes = i % 100 == 99 ? 50000 : 1 + i * 7;
        objects[i] =
            i % 5 ? goalloc_malloc(heap, bytes) : goalloc_alloc(heap, i % 12, 0, GOALLOC_NOSCAN);
        if (!objects[i])
            return 2;
    }
    if (goalloc_publish(heap, "root", objects[1]) < 0 || goalloc_hold(heap, objects[2]) < 0 ||
        write(to_parent, "x", 1) != 1)
        return 3;
    char c;
    return read(from_parent, &c, 1) == 1 ? 0 : 4;
}

static bool start_client(void)
{
    int down[2];
    int up[2];
    char c;
    if (pipe(down) < 0 || pipe(up) < 0)
        return false;
    client = fork();
    if (client == 0) {
        close(down[1]);
        close(up[0]);
        _exit(live_as_client(down[0], up[1]));
    }
    close(down[0]);
    close(up[1]);
    to_client = down[1];
    bool good = read(up[0], &c, 1) == 1;
    close(up[0]);
    return good;
}

static void sound_heap(bool live, bool server)
{
    uint64_t meta = memory_of("meta");
    uint64_t bits = memory_of("bits");
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "check"), 0);
    CU_ASSERT(ga_json_is_valid(run.out));
    SAYS(run.out, live ? "\"live\": true" : "\"live\": false");
    SAYS(run.out, server ? "\"server_alive\": true" : "\"server_alive\": false");
    CU_ASSERT_EQUAL(number("nfaults"), 0);
    CU_ASSERT_EQUAL(number("objects"), OBJECTS);
    CU_ASSERT_EQUAL(number("slots"), number("in_use") + number("free"));
    CU_ASSERT_EQUAL(number("spans_large"), 5);
    CU_ASSERT_EQUAL(number("roots"), 1);
    CU_ASSERT_EQUAL(number("holds"), 1);
    CU_ASSERT_EQUAL(CTL("--shm", name, "check"), 0);
    SAYS(run.out, "no faults");
    CU_ASSERT_EQUAL(strstr(run.out, "checked in use") != NULL, live);
    CU_ASSERT_EQUAL(memory_of("meta"), meta);
    CU_ASSERT_EQUAL(memory_of("bits"), bits);
}

static void in_use(void)
{
    sound_heap(true, true);
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "check"), 0);
    SAYS(run.out, "no faults");
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "--json", "check"), 0);
    CU_ASSERT_EQUAL(number("objects"), OBJECTS);
    SAYS(run.out, "\"source\": \"socket\"");
}

/* ---- spoilt words ---- */

static struct ga_meta_header header;

static void read_header(void)
{
    int fd = ga_daemon_open_object(name, "meta", O_RDONLY);
    CU_ASSERT_EQUAL_FATAL(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    close(fd);
}

static uint64_t put(const char *suffix, uint64_t offset, uint64_t word)
{
    uint64_t old = 0;
    int fd = ga_daemon_open_object(name, suffix, O_RDWR);
    CU_ASSERT_EQUAL(pread(fd, &old, sizeof(old), (off_t)offset), (ssize_t)sizeof(old));
    CU_ASSERT_EQUAL(pwrite(fd, &word, sizeof(word), (off_t)offset), (ssize_t)sizeof(word));
    close(fd);
    return old;
}

/* With this word spoilt, check finds this, names the page, and says it in both forms. */
static void found(const char *suffix, uint64_t offset, uint64_t word, const char *kind,
                  uint64_t page)
{
    char needle[64];
    uint64_t old = put(suffix, offset, word);
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "check"), 4);
    CU_ASSERT(ga_json_is_valid(run.out));
    CU_ASSERT(number("nfaults") >= 1);
    snprintf(needle, sizeof(needle), "\"kind\": \"%s\"", kind);
    SAYS(run.out, needle);
    snprintf(needle, sizeof(needle), "\"page\": %llu", (unsigned long long)page);
    SAYS(run.out, needle);
    CU_ASSERT_EQUAL(CTL("--shm", name, "check"), 4);
    snprintf(needle, sizeof(needle), "page %llu, ", (unsigned long long)page);
    SAYS(run.out, needle);
    SAYS(run.out, " fault");
    put(suffix, offset, old);
}

static uint64_t line_of(uint64_t page, size_t member)
{
    return header.bits_lines_offset + page * sizeof(struct ga_span_line) + member;
}

/* Page 1 begins a span: the heap's first. In use, a fault is looked at for a second. */
static void faults_in_use(void)
{
    read_header();
    uint64_t d = line_of(1, offsetof(struct ga_span_line, d));
    found("bits", d, 5, "flush", 1);
    uint64_t old = put("bits", d, 5);
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "check"), 4);
    SAYS(run.out, "1 fault\n");
    put("bits", d, old);
}

static void without_a_server(void)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    sound_heap(true, false);
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "check"), 5);
}

static void dead(void)
{
    kill(client, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(client, NULL, 0), client);
    client = 0;
    sound_heap(false, false);
    found("bits", line_of(1, offsetof(struct ga_span_line, d)), 5, "flush", 1);
    found("bits", line_of(1, offsetof(struct ga_span_line, nholds)), 77, "nholds", 1);
    found("bits", line_of(1, offsetof(struct ga_span_line, holder)), 4711, "holder", 1);
    found("meta", header.page_table_offset + 8, ~UINT64_C(0), "entry", 1);
    sound_heap(false, false);
}

/* What no table can be found by is no fault among others: nothing can be checked. */
static void not_readable(void)
{
    uint64_t old =
        put("meta", offsetof(struct ga_meta_header, arenas_offset), header.arenas_offset + 8);
    CU_ASSERT_EQUAL(CTL("--shm", name, "check"), 7);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    SAYS(run.err, "the tables' offsets are wrong");
    put("meta", offsetof(struct ga_meta_header, arenas_offset), old);
    CU_ASSERT_EQUAL(CTL("--shm", "none-such", "check"), 5);
    CU_ASSERT_EQUAL(CTL("check", "--partial"), 2);
    CU_ASSERT_EQUAL(CTL("check", "more"), 2);
    CU_ASSERT_EQUAL(CTL("destroy", name), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"in use", in_use},
        {"faults in use", faults_in_use},
        {"without a server", without_a_server},
        {"dead", dead},
        {"not readable", not_readable},
    };
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("check"));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    const char *const arguments[] = {"--name",  name,   "--socket", socket_path,
                                     "--limit", "512M", NULL};
    int code = 1;
    if (ga_daemon_start(&daemon_, 0, arguments) && start_client())
        code = ga_test_main("integration.ctl_check", tests, COUNT(tests));
    if (client > 0) {
        kill(client, SIGKILL);
        waitpid(client, NULL, 0);
    }
    close(to_client);
    ga_daemon_end(&daemon_, SIGKILL);
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
