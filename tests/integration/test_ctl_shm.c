/* goallocctl without the server's help: --shm says what the socket says while the server lives, and
 * goes on saying it when the server is killed; it allocates nothing, and refuses what is damaged.
 * destroy removes a heap whose server is dead, and no other. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define OBJECTS  700

static struct ga_daemon daemon_;
static char name[64];
static char socket_path[128];
static struct goalloc_heap *heap;
static void *objects[OBJECTS];
static struct ga_run run;
static struct ga_run other;

static int ctl_into(struct ga_run *into, const char *const *words)
{
    CU_ASSERT_FATAL(ga_run(into, GOALLOCCTL_PATH, words));
    return into->code;
}
#define CTL(...)           ctl_into(&run, (const char *const[]){__VA_ARGS__, NULL})
#define CTL_OTHER(...)     ctl_into(&other, (const char *const[]){__VA_ARGS__, NULL})
#define SAYS(text, needle) CU_ASSERT_PTR_NOT_NULL(strstr(text, needle))

static uint64_t number(const char *key)
{
    return ga_json_number_of(run.out, key);
}

static const char *const commands[] = {"status", "stats",   "classes", "arenas",
                                       "spans",  "clients", "roots"};

static uint64_t memory_of(const char *suffix)
{
    struct stat st = {0};
    int fd = ga_daemon_open_object(name, suffix, O_RDONLY);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    close(fd);
    return (uint64_t)st.st_blocks;
}

/* Every command, in both forms; nothing is allocated by looking. */
static void look_at_all(bool alive)
{
    uint64_t meta = memory_of("meta");
    uint64_t bits = memory_of("bits");
    for (size_t i = 0; i < COUNT(commands); i++) {
        CU_ASSERT_EQUAL(CTL("--shm", name, commands[i]), 0);
        CU_ASSERT(strlen(run.out) > 20);
        SAYS(run.err, alive ? "its server is alive" : "its server is dead");
        CU_ASSERT_EQUAL(CTL("--shm", name, "--json", commands[i]), 0);
        CU_ASSERT(ga_json_is_valid(run.out));
        CU_ASSERT_STRING_EQUAL(run.err, "");
        SAYS(run.out, "\"source\": \"shm\"");
        SAYS(run.out, alive ? "\"server_alive\": true" : "\"server_alive\": false");
    }
    CU_ASSERT_EQUAL(memory_of("meta"), meta);
    CU_ASSERT_EQUAL(memory_of("bits"), bits);
}

/* The documents of a command from both sources, from the first member named so on. */
static void same_from(const char *command, const char *member)
{
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", command), 0);
    CU_ASSERT_EQUAL(CTL_OTHER("--socket", socket_path, "--json", command), 0);
    const char *a = strstr(run.out, member);
    const char *b = strstr(other.out, member);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_STRING_EQUAL(a, b);
    if (strcmp(a, b) != 0)
        printf("shm: %s\nsocket: %s\n", a, b);
}

static void both_sources_agree(void)
{
    same_from("status", "\"layout_version\"");
    same_from("classes", "\"classes\"");
    same_from("arenas", "\"base\"");
    same_from("spans", "\"base\"");
    same_from("roots", "\"base\"");
    static const char *const keys[] = {
        "alloc_bytes", "total_alloc_bytes", "heap_objects",   "mallocs",
        "frees",       "sys_bytes",         "heap_sys_bytes", "heap_inuse_bytes",
        "spans_inuse", "spans_leased",      "leased_bytes"};
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "stats"), 0);
    CU_ASSERT_EQUAL(CTL_OTHER("--socket", socket_path, "--json", "stats", "--recount"), 0);
    for (size_t i = 0; i < COUNT(keys); i++)
        CU_ASSERT(number(keys[i]) != UINT64_MAX &&
                  number(keys[i]) == ga_json_number_of(other.out, keys[i]));
    const char *a = strstr(run.out, "\"counted_objects\"");
    const char *b = strstr(other.out, "\"counted_objects\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_STRING_EQUAL(a, b);
    CU_ASSERT_EQUAL(number("counted_objects"), OBJECTS - 1);
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "stats", "--recount"), 0);
    SAYS(run.out, "as the counters say");
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "stats", "--all", "--client", "1"), 0);
    CU_ASSERT_EQUAL(CTL_OTHER("--socket", socket_path, "--json", "stats", "--all", "--client", "1"),
                    0);
    a = strstr(run.out, "\"client\"");
    b = strstr(other.out, "\"client\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_STRING_EQUAL(a, b);
    CU_ASSERT(number("mallocs") >= OBJECTS && number("leased_spans") > 0);
    CU_ASSERT_EQUAL(CTL("--shm", name, "stats", "--client", "2"), 1);
    SAYS(run.err, "no client 2 is attached");
    look_at_all(true);
}

static void a_living_heap_stays(void)
{
    CU_ASSERT_EQUAL(CTL("destroy", name), 3);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    SAYS(run.err, "is alive");
    CU_ASSERT_EQUAL(CTL("--shm", name, "destroy"), 3);
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "status"), 0);
}

static void the_server_is_killed(void)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    goalloc_free(heap, objects[1]); /* clients go on */
    *goalloc_slot(heap, GOALLOC_SLOTS - 1) = objects[2];
    look_at_all(false);
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "stats"), 0);
    CU_ASSERT_EQUAL(number("counted_objects"), OBJECTS - 2);
    CU_ASSERT_EQUAL(number("heap_objects"), OBJECTS - 2);
    CU_ASSERT_EQUAL(number("mallocs") - number("frees"), OBJECTS - 2);
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "clients"), 0);
    CU_ASSERT_EQUAL(number("pid"), (uint64_t)getpid());
    CU_ASSERT_EQUAL(number("slots"), 1);
    *goalloc_slot(heap, GOALLOC_SLOTS - 1) = NULL;
    CU_ASSERT_EQUAL(number("mallocs") - number("frees"), OBJECTS - 2);
    CU_ASSERT_EQUAL(CTL("--shm", name, "--json", "roots"), 0);
    SAYS(run.out, "\"name\": \"root\\\"1\"");
}

static void put(const char *suffix, off_t offset, uint32_t word, uint32_t *ret_old)
{
    int fd = ga_daemon_open_object(name, suffix, O_RDWR);
    CU_ASSERT_EQUAL(pread(fd, ret_old, sizeof(*ret_old), offset), (ssize_t)sizeof(word));
    CU_ASSERT_EQUAL(pwrite(fd, &word, sizeof(word), offset), (ssize_t)sizeof(word));
    close(fd);
}

/* With one word of an object changed, nothing is shown, and the message says why. */
static void refused_with(const char *suffix, size_t offset, uint32_t word, const char *why)
{
    uint32_t old = 0;
    put(suffix, (off_t)offset, word, &old);
    for (size_t i = 0; i < COUNT(commands); i++) {
        CU_ASSERT_EQUAL(CTL("--shm", name, commands[i]), 7);
        CU_ASSERT_STRING_EQUAL(run.out, "");
        SAYS(run.err, why);
    }
    put(suffix, (off_t)offset, old, &word);
}

static void damaged_heaps(void)
{
    refused_with("meta", offsetof(struct ga_meta_header, layout_version), 99,
                 "its layout version is 99, known here is ");
    refused_with("meta", offsetof(struct ga_meta_header, magic), 7, "it is no goalloc heap");
    refused_with("meta", offsetof(struct ga_meta_header, bits_lines_offset), 7,
                 "the tables' offsets are wrong");
    refused_with("meta", offsetof(struct ga_meta_header, committed_npages), 0x7fffffff,
                 "more is committed than allowed");
    refused_with("bits", offsetof(struct ga_bits_header, heap_id), 7, "its bits object is damaged");

    /* The first span's entry says that it is longer than the heap. */
    struct ga_meta_header header;
    int fd = ga_daemon_open_object(name, "meta", O_RDWR);
    CU_ASSERT_EQUAL(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    off_t first = (off_t)(header.page_table_offset + sizeof(uint64_t));
    uint64_t good = 0;
    uint64_t bad = ~UINT64_C(0);
    CU_ASSERT_EQUAL(pread(fd, &good, sizeof(good), first), (ssize_t)sizeof(good));
    CU_ASSERT_EQUAL(pwrite(fd, &bad, sizeof(bad), first), (ssize_t)sizeof(bad));
    CU_ASSERT_EQUAL(CTL("--shm", name, "spans"), 1);
    SAYS(run.err, "is damaged at page 1");
    CU_ASSERT_EQUAL(CTL("--shm", name, "stats"), 1);
    CU_ASSERT_EQUAL(CTL("--shm", name, "arenas"), 0); /* harmless there */
    CU_ASSERT_EQUAL(pwrite(fd, &good, sizeof(good), first), (ssize_t)sizeof(good));
    close(fd);
    look_at_all(false);
}

static void a_dead_heap_goes(void)
{
    uint32_t old = 0;
    uint32_t none = 0;
    put("meta", offsetof(struct ga_meta_header, layout_version), 99, &old);
    CU_ASSERT_EQUAL(CTL("destroy", name), 7);
    SAYS(run.err, "its layout version is 99");
    put("meta", offsetof(struct ga_meta_header, layout_version), old, &none);
    CU_ASSERT(ga_daemon_left_objects(name));

    CU_ASSERT_EQUAL(CTL("destroy", name), 0);
    SAYS(run.out, name);
    CU_ASSERT_FALSE(ga_daemon_left_objects(name));
    CU_ASSERT_EQUAL(CTL("destroy", name), 5);
    SAYS(run.err, "there is no heap");
    CU_ASSERT_EQUAL(CTL("--shm", name, "status"), 5);
    SAYS(run.err, "there is no heap");
}

static void wrong_usage(void)
{
    static const char *const wrong[][5] = {
        {"destroy"},
        {"destroy", "a/b"},
        {"destroy", "a", "b"},
        {"destroy", "a", "--json"},
        {"destroy", "a", "--socket", "b"},
        {"destroy", "a", "--shm", "b"},
        {"--shm", "../x", "status"},
        {"--shm", "status"},
        {"--shm", "a", "--socket=b", "status"},
        {"--recount", "spans"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        CU_ASSERT_EQUAL(ctl_into(&run, wrong[i]), 2);
        CU_ASSERT_STRING_EQUAL(run.out, "");
    }
}

static bool fill_heap(void)
{
    struct goalloc_options options = {.size = sizeof(options), .client_name = "c\x1b[31m"};
    if (goalloc_attach(socket_path, &options, &heap) < 0)
        return false;
    bool good = true;
    for (size_t i = 0; i < OBJECTS; i++)
        good = (objects[i] = goalloc_malloc(heap, i % 50 ? 8 + i * 3 : 40000)) && good;
    for (size_t i = 2; i < 100; i++) { /* and tiny ones in the place of some */
        goalloc_free(heap, objects[i]);
        good = (objects[i] = goalloc_alloc(heap, i % 12, 0, GOALLOC_NOSCAN)) && good;
    }
    goalloc_free(heap, objects[0]); /* a large one: the server counts that it did exist */
    /* Asked for its counts, the server looks at what was freed: what shared memory shows is then
     * what it will say. */
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    return good && goalloc_publish(heap, "root\"1", objects[5]) == 0 &&
           goalloc_memstats(heap, &stats) == 0;
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"both sources agree", both_sources_agree},
        {"a living heap stays", a_living_heap_stays},
        {"the server is killed", the_server_is_killed},
        {"damaged heaps", damaged_heaps},
        {"a dead heap goes", a_dead_heap_goes},
        {"wrong usage", wrong_usage},
    };
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("ctl"));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    const char *const arguments[] = {"--name",  name,   "--socket", socket_path,
                                     "--limit", "512M", NULL};
    int code = 1;
    if (ga_daemon_start(&daemon_, 0, arguments) && fill_heap())
        code = ga_test_main("integration.ctl_shm", tests, COUNT(tests));
    goalloc_detach(heap);
    ga_daemon_end(&daemon_, SIGKILL);
    ga_run_fini(&run);
    ga_run_fini(&other);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
