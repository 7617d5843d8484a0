/* Who takes a dead heap over: one of several, and nobody who does not know it; whoever is refused
 * leaves it as it is, byte for byte. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "shm/layout.h"
#include "shm/mapping.h"
#include "support/cunit_main.h"

#define ROUNDS 10
#define NODES  3000u

struct node {
    struct node *next;
    uint64_t number;
};

static bool launch(struct ga_daemon *daemon, const char *heap, const char *path, const char *option)
{
    const char *arguments[] = {"--name", heap, "--socket", path, option, NULL};
    struct ga_daemon_setup setup = {.keep = true};
    return ga_daemon_launch(daemon, &setup, arguments);
}

static bool start(struct ga_daemon *daemon, const char *heap, const char *path, const char *option)
{
    return launch(daemon, heap, path, option) && ga_daemon_wait(daemon);
}

/* ---- what is in the heap ---- */

static bool build(struct goalloc_heap *heap)
{
    struct node *first = NULL;
    for (uint64_t i = 0; i < NODES; i++) {
        struct node *node = goalloc_malloc(heap, sizeof(*node) + i % 500);
        if (!node)
            return false;
        *node = (struct node){.next = first, .number = i};
        first = node;
    }
    return goalloc_publish(heap, "list", first) == 0;
}

static bool walk(struct goalloc_heap *heap)
{
    void *found;
    if (goalloc_lookup(heap, "list", &found) < 0)
        return false;
    uint64_t expected = NODES;
    for (const struct node *node = found; node; node = node->next)
        if (node->number != --expected)
            return false;
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    return expected == 0 && goalloc_memstats(heap, &stats) == 0 && stats.heap_objects == NODES;
}

static bool with_heap(const char *path, bool (*work)(struct goalloc_heap *heap))
{
    struct goalloc_heap *heap;
    if (goalloc_attach(path, NULL, &heap) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return false;
    }
    bool good = work(heap);
    goalloc_detach(heap);
    return good;
}

/* Make a heap with the list in it, whose server has been killed. */
static void make_dead_heap(const char *heap, const char *path)
{
    struct ga_daemon daemon;
    CU_ASSERT_FATAL(launch(&daemon, heap, path, "--reserve=64M") && ga_daemon_wait(&daemon));
    CU_ASSERT(with_heap(path, build));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
}

static void serve_once_and_remove(const char *heap, const char *path)
{
    struct ga_daemon daemon;
    CU_ASSERT_FATAL(start(&daemon, heap, path, "--ephemeral"));
    CU_ASSERT(with_heap(path, walk));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

/* ---- two at once ---- */

/* One of the two serves, and the other says so. Returns the number of the one that serves. */
static int judge_race(struct ga_daemon pair[2], const char *heap)
{
    bool ready[2];
    for (int i = 0; i < 2; i++)
        ready[i] = ga_daemon_wait(&pair[i]);
    CU_ASSERT_FATAL(ready[0] != ready[1]);
    int winner = ready[1];
    struct ga_daemon *loser = &pair[1 - winner];
    char line[200];
    snprintf(line, sizeof(line), "goallocd: error: heap '%s' is served by process %d\n", heap,
             (int)pair[winner].pid);
    CU_ASSERT_EQUAL(ga_daemon_end(loser, 0), 3);
    CU_ASSERT_STRING_EQUAL(loser->text, line);
    return winner;
}

static void test_two_at_once(void)
{
    const char *heap = ga_daemon_heap("race");
    char path[2][128];
    snprintf(path[0], sizeof(path[0]), "%s", ga_daemon_path("race0"));
    snprintf(path[1], sizeof(path[1]), "%s", ga_daemon_path("race1"));
    make_dead_heap(heap, path[0]);
    for (int round = 0; round < ROUNDS; round++) {
        static struct ga_daemon pair[2];
        CU_ASSERT_FATAL(launch(&pair[0], heap, path[0], NULL) &&
                        launch(&pair[1], heap, path[1], NULL));
        int winner = judge_race(pair, heap);
        CU_ASSERT(with_heap(path[winner], walk));
        CU_ASSERT_EQUAL(ga_daemon_end(&pair[winner], SIGKILL), 256 + SIGKILL);
    }
    serve_once_and_remove(heap, path[0]);
}

/* ---- heaps that are refused ---- */

static const char *const parts[GA_OBJECT_COUNT] = {"meta", "bits", "heap"};

struct print {
    off_t nbytes[GA_OBJECT_COUNT];
    uint64_t hash[GA_OBJECT_COUNT]; /* of all bytes that are not 0, and where they are */
};

static uint64_t hash_more(uint64_t hash, uint64_t place, const uint64_t *words, size_t nwords)
{
    for (size_t i = 0; i < nwords; i++)
        if (words[i] != 0)
            hash = ((hash ^ (place + i)) * 0x9e3779b97f4a7c15u ^ words[i]) * 0x100000001b3u;
    return hash;
}

/* Objects are sparse, so only what is there is read. */
static uint64_t hash_object(int fd)
{
    static uint64_t words[8192];
    uint64_t hash = 1;
    off_t end = 0;
    for (off_t at; (at = lseek(fd, end, SEEK_DATA)) >= 0;) {
        end = lseek(fd, at, SEEK_HOLE);
        while (at < end) {
            size_t room = sizeof(words) < (size_t)(end - at) ? sizeof(words) : (size_t)(end - at);
            memset(words, 0, sizeof(words));
            ssize_t n = pread(fd, words, room, at);
            CU_ASSERT_FATAL(n > 0);
            hash = hash_more(hash, (uint64_t)at / sizeof(words[0]), words,
                             sizeof(words) / sizeof(words[0]));
            at += n;
        }
    }
    return hash;
}

static void print_objects(const char *heap, struct print *ret)
{
    for (int i = 0; i < GA_OBJECT_COUNT; i++) {
        struct stat st = {0};
        int fd = ga_daemon_open_object(heap, parts[i], O_RDONLY);
        CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
        ret->nbytes[i] = st.st_size;
        ret->hash[i] = hash_object(fd);
        close(fd);
    }
}

/* Start a server, which says line and ends, and nothing has changed. */
static void expect_refusal(const char *heap, const char *path, const char *option, const char *line)
{
    struct ga_daemon daemon;
    struct print before;
    struct print after;
    print_objects(heap, &before);
    bool ready = start(&daemon, heap, path, option);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, ready ? SIGTERM : 0), 7);
    CU_ASSERT_STRING_EQUAL(daemon.text, line);
    if (strcmp(daemon.text, line) != 0)
        fprintf(stderr, "said:     %sexpected: %s", daemon.text, line);
    print_objects(heap, &after);
    for (int i = 0; i < GA_OBJECT_COUNT; i++) {
        CU_ASSERT_EQUAL(before.nbytes[i], after.nbytes[i]);
        CU_ASSERT_EQUAL(before.hash[i], after.hash[i]);
    }
}

/* A heap of a later goallocd is not even removed when asked to. */
static void test_newer_layout(void)
{
    char line[300];
    const char *heap = ga_daemon_heap("newer");
    const char *path = ga_daemon_path("newer");
    make_dead_heap(heap, path);
    int meta = ga_daemon_open_object(heap, "meta", O_RDWR);
    off_t place = offsetof(struct ga_meta_header, layout_version);
    uint32_t version = GA_LAYOUT_VERSION + 1;
    CU_ASSERT(meta >= 0 && pwrite(meta, &version, sizeof(version), place) == sizeof(version));
    snprintf(line, sizeof(line),
             "goallocd: error: heap '%s' is there already, with layout version %u, and this server "
             "knows version %u: it is left as it is\n",
             heap, version, GA_LAYOUT_VERSION);
    expect_refusal(heap, path, NULL, line);
    expect_refusal(heap, path, "--replace", line);

    version = GA_LAYOUT_VERSION;
    CU_ASSERT(pwrite(meta, &version, sizeof(version), place) == sizeof(version));
    close(meta);
    serve_once_and_remove(heap, path);
}

/* Where meta is no meta object any more: removed when asked to, not before. */
static void replace(const char *heap, const char *path)
{
    struct ga_daemon daemon;
    CU_ASSERT_FATAL(start(&daemon, heap, path, "--replace"));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FATAL(start(&daemon, heap, path, "--ephemeral"));
    CU_ASSERT_FALSE(with_heap(path, walk));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void expect_no_heap(const char *heap, const char *path)
{
    char line[300];
    snprintf(line, sizeof(line),
             "goallocd: error: the name '%s' is taken: /dev/shm/goalloc.%s.meta is no heap; "
             "'goallocd --name %s --replace' removes it and starts anew\n",
             heap, heap, heap);
    expect_refusal(heap, path, NULL, line);
}

static void test_truncated_meta(void)
{
    char line[300];
    const char *heap = ga_daemon_heap("short");
    const char *path = ga_daemon_path("short");
    make_dead_heap(heap, path);
    int meta = ga_daemon_open_object(heap, "meta", O_RDWR);
    CU_ASSERT(meta >= 0 && ftruncate(meta, 4096) == 0);
    snprintf(line, sizeof(line),
             "goallocd: error: heap '%s' cannot be taken over: /goalloc.%s.meta is shorter than it "
             "was; 'goallocd --name %s --replace' removes it and starts anew\n",
             heap, heap, heap);
    expect_refusal(heap, path, NULL, line);
    CU_ASSERT(ftruncate(meta, 40) == 0); /* within the header */
    close(meta);
    expect_no_heap(heap, path);
    replace(heap, path);
}

/* Empty, as one that was never written to; but the objects are there. */
static void test_lost_meta(void)
{
    char line[300];
    struct stat st;
    const char *heap = ga_daemon_heap("lost");
    const char *path = ga_daemon_path("lost");
    make_dead_heap(heap, path);
    int meta = ga_daemon_open_object(heap, "meta", O_RDWR);
    CU_ASSERT(meta >= 0 && fstat(meta, &st) == 0 && ftruncate(meta, 0) == 0);
    snprintf(line, sizeof(line),
             "goallocd: error: heap '%s' has lost its meta object, which is empty, and has data in "
             "others: they are left as they are; 'goallocd --name %s --replace' removes them and "
             "starts anew\n",
             heap, heap);
    expect_refusal(heap, path, NULL, line);
    CU_ASSERT(ftruncate(meta, st.st_size) == 0); /* all of it a hole */
    close(meta);
    expect_refusal(heap, path, NULL, line);
    int heap_object = ga_daemon_open_object(heap, "heap", O_RDWR);
    CU_ASSERT(heap_object >= 0 && ftruncate(heap_object, 0) == 0);
    close(heap_object);
    expect_refusal(heap, path, NULL, line); /* that of bits is left */
    replace(heap, path);
}

static void test_foreign_file(void)
{
    static const char text[] = "This is somebody's text, and no heap.\n";
    const char *heap = ga_daemon_heap("foreign");
    const char *path = ga_daemon_path("foreign");
    make_dead_heap(heap, path);
    int meta = ga_daemon_open_object(heap, "meta", O_RDWR);
    CU_ASSERT(meta >= 0 && pwrite(meta, text, sizeof(text), 0) == sizeof(text));
    expect_no_heap(heap, path); /* as long as a meta object */
    CU_ASSERT(ftruncate(meta, sizeof(text)) == 0);
    close(meta);
    expect_no_heap(heap, path);
    replace(heap, path);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"two servers at once", test_two_at_once},
        {"a newer layout", test_newer_layout},
        {"a meta object that was cut", test_truncated_meta},
        {"a meta object that is empty", test_lost_meta},
        {"a foreign file in its place", test_foreign_file},
    };
    signal(SIGPIPE, SIG_IGN);
    int failed = ga_test_main("takeover", tests, sizeof(tests) / sizeof(tests[0]));
    int left = ga_daemon_clean_up();
    if (left != 0)
        fprintf(stderr, "%d objects were left\n", left);
    return failed || left != 0;
}
