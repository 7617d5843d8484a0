/* A heap outlives its server: objects, roots and pointers are there when the next one starts,
 * whether the first was told to end or was killed; and what another process has of it stays its
 * own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "shm/layout.h"
#include "shm/page_entry.h"
#include "support/cunit_main.h"

#define NODES       20000u
#define LARGE_BYTES 200000u

struct node {
    struct node *next;
    uint64_t number;
    char padding[]; /* so that many classes are used */
};

struct list {
    struct node *first;
    void *large;
};

static bool start(struct ga_daemon *daemon, const char *heap, const char *path, const char *option,
                  const char *value)
{
    const char *arguments[] = {"--name",      heap,   "--socket", path,  "--reserve", "64M",
                               "--log-level", "info", option,     value, NULL};
    struct ga_daemon_setup setup = {.keep = true};
    return ga_daemon_launch(daemon, &setup, arguments) && ga_daemon_wait(daemon);
}

/* ---- what clients do, each in a process of its own ---- */

static void stay_silent(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    if (kind != GOALLOC_REPORT_LOST)
        fprintf(stderr, "report: %s\n", message);
}

static struct goalloc_heap *attach(const char *path)
{
    struct goalloc_options options = {.size = sizeof(options), .report = stay_silent};
    struct goalloc_heap *heap = NULL;
    if (goalloc_attach(path, &options, &heap) < 0)
        fprintf(stderr, "%s\n", goalloc_attach_error());
    return heap;
}

static bool build(struct goalloc_heap *heap)
{
    struct list *list = goalloc_calloc(heap, 1, sizeof(*list));
    if (!list)
        return false;
    for (uint64_t i = 0; i < NODES; i++) {
        struct node *node = goalloc_malloc(heap, sizeof(*node) + i % 500);
        if (!node)
            return false;
        *node = (struct node){.next = list->first, .number = i};
        list->first = node;
    }
    list->large = goalloc_malloc(heap, LARGE_BYTES);
    if (!list->large)
        return false;
    memset(list->large, 0x5a, LARGE_BYTES);
    return goalloc_publish(heap, "list", list) == 0;
}

static bool walk(struct goalloc_heap *heap)
{
    void *found;
    if (goalloc_lookup(heap, "list", &found) < 0)
        return false;
    const struct list *list = found;
    uint64_t expected = NODES;
    for (const struct node *node = list->first; node; node = node->next)
        if (node->number != --expected)
            return false;
    const unsigned char *large = list->large;
    for (uint32_t i = 0; i < LARGE_BYTES; i++)
        if (large[i] != 0x5a)
            return false;
    return expected == 0;
}

/* What is allocated now is zeroed and overlaps nothing that is there. */
static bool allocate_more(struct goalloc_heap *heap)
{
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t bytes = 16 + i * 7 % 3000;
        unsigned char *p = goalloc_calloc(heap, 1, bytes);
        if (!p)
            return false;
        for (uint64_t k = 0; k < bytes; k++)
            if (p[k] != 0)
                return false;
        memset(p, 0xff, bytes);
        if (i % 2)
            goalloc_free(heap, p);
    }
    return true;
}

static bool drop(struct goalloc_heap *heap)
{
    void *found;
    if (goalloc_lookup(heap, "list", &found) < 0 || goalloc_unpublish(heap, "list") < 0)
        return false;
    struct list *list = found;
    while (list->first) {
        struct node *node = list->first;
        list->first = node->next;
        goalloc_free(heap, node);
    }
    goalloc_free(heap, list->large);
    goalloc_free(heap, list);
    return true;
}

static bool is_empty(struct goalloc_heap *heap)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    return goalloc_memstats(heap, &stats) == 0 && stats.heap_objects == 0 && stats.heap_alloc == 0;
}

typedef bool work_fn(struct goalloc_heap *heap);

/* Do the work in another process, which attaches and detaches. */
static bool in_process(const char *path, work_fn *work)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct goalloc_heap *heap = attach(path);
        bool good = heap && work(heap);
        goalloc_detach(heap);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- tests ---- */

static void end_and_remove(struct ga_daemon *daemon, const char *heap, const char *path)
{
    CU_ASSERT_EQUAL(ga_daemon_end(daemon, SIGTERM), 0);
    CU_ASSERT(ga_daemon_said(daemon, "' is kept for the next start\n"));
    CU_ASSERT(ga_daemon_left_objects(heap));
    CU_ASSERT(access(path, F_OK) < 0);
    CU_ASSERT_FATAL(start(daemon, heap, path, "--ephemeral", NULL));
    CU_ASSERT_EQUAL(ga_daemon_end(daemon, SIGTERM), 0);
    CU_ASSERT(ga_daemon_said(daemon, "' has ended\n"));
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

/* Three lives of a heap: it is built in the first, read in the second, emptied in the third. */
static void live_thrice(const char *suffix, int signal_number)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap(suffix);
    const char *path = ga_daemon_path(suffix);
    int code = signal_number == SIGKILL ? 256 + SIGKILL : 0;
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, build));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, signal_number), code);

    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_daemon_said(&daemon, "' over: 0 of its clients live, 0 have ended\n"));
    CU_ASSERT(in_process(path, walk));
    CU_ASSERT(in_process(path, allocate_more));
    CU_ASSERT(in_process(path, walk));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, signal_number), code);

    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, walk));
    CU_ASSERT(in_process(path, drop));
    CU_ASSERT_FALSE(in_process(path, is_empty)); /* what allocate_more has kept */
    end_and_remove(&daemon, heap, path);
}

static void test_told_to_end(void)
{
    live_thrice("told", SIGTERM);
}

static void test_killed(void)
{
    live_thrice("killed", SIGKILL);
}

static void test_empty_again(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("empty");
    const char *path = ga_daemon_path("empty");
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, build));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, drop));
    CU_ASSERT(in_process(path, is_empty));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, is_empty));
    CU_ASSERT(in_process(path, build));
    CU_ASSERT(in_process(path, walk));
    end_and_remove(&daemon, heap, path);
}

/* A process that lives through the change of servers, or through the time of one: it goes on with
 * what it holds. */
struct survivor {
    pid_t pid;
    int to;   /* a byte: the next step */
    int from; /* a byte: done, 1 = well */
};

static void live_through(const char *path, int from, int to)
{
    char step;
    struct goalloc_heap *heap = attach(path);
    void *old = heap ? goalloc_malloc(heap, 64) : NULL;
    char good = old && goalloc_publish(heap, "old", old) == 0;
    while (write(to, &good, 1) == 1 && read(from, &step, 1) == 1) {
        /* Of the span that it has leased, without a server. */
        void *p = goalloc_malloc(heap, 64);
        good = p != NULL;
        goalloc_free(heap, p);
    }
    _exit(0);
}

static bool start_survivor(const char *path, struct survivor *ret)
{
    int down[2];
    int up[2];
    char good = 0;
    if (pipe2(down, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0)
        return false;
    ret->pid = fork();
    if (ret->pid == 0) {
        close(down[1]);
        close(up[0]);
        live_through(path, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    ret->to = down[1];
    ret->from = up[0];
    return read(ret->from, &good, 1) == 1 && good;
}

static bool survivor_allocates(struct survivor *survivor)
{
    char good = 0;
    return write(survivor->to, "x", 1) == 1 && read(survivor->from, &good, 1) == 1 && good;
}

static void end_survivor(struct survivor *survivor, int signal_number)
{
    kill(survivor->pid, signal_number);
    waitpid(survivor->pid, NULL, 0);
    close(survivor->to);
    close(survivor->from);
}

static bool free_old(struct goalloc_heap *heap)
{
    void *old;
    bool found = goalloc_lookup(heap, "old", &old) == 0 && goalloc_unpublish(heap, "old") == 0;
    if (found)
        goalloc_free(heap, old);
    return found;
}

static bool wait_until_empty_of_clients(struct goalloc_heap *heap)
{
    /* Its span comes back to the server, and is freed, once its process has ended. */
    for (int i = 0; i < 10000; i++) {
        struct goalloc_memstats stats = {.size = sizeof(stats)};
        if (goalloc_memstats(heap, &stats) < 0)
            return false;
        if (stats.heap_inuse == 0)
            return true;
        usleep(1000);
    }
    return false;
}

static void test_living_clients(void)
{
    struct ga_daemon daemon;
    struct survivor lives;
    struct survivor dies;
    const char *heap = ga_daemon_heap("clients");
    const char *path = ga_daemon_path("clients");
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(start_survivor(path, &dies));
    CU_ASSERT(in_process(path, free_old));
    CU_ASSERT(start_survivor(path, &lives));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);
    CU_ASSERT(survivor_allocates(&lives));
    end_survivor(&dies, SIGKILL);

    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_daemon_said(&daemon, "' over: 1 of its clients live, 1 have ended\n"));
    CU_ASSERT(survivor_allocates(&lives));
    CU_ASSERT(in_process(path, free_old)); /* in a span that the survivor holds */
    CU_ASSERT(survivor_allocates(&lives));
    end_survivor(&lives, SIGKILL);
    CU_ASSERT(in_process(path, wait_until_empty_of_clients));
    end_and_remove(&daemon, heap, path);
}

/* ---- refusals: the heap stays as it is ---- */

static void expect_refusal(const char *heap, const char *path, const char *option,
                           const char *value, int code, const char *why)
{
    struct ga_daemon daemon;
    char line[400];
    snprintf(line, sizeof(line),
             "goallocd: error: heap '%s' cannot be taken over: %s; 'goallocd --name %s --replace' "
             "removes it and starts anew\n",
             heap, why, heap);
    CU_ASSERT_FALSE(start(&daemon, heap, path, option, value));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), code);
    CU_ASSERT_STRING_EQUAL(daemon.text, line);
    if (strcmp(daemon.text, line) != 0)
        fprintf(stderr, "said:     %sexpected: %s", daemon.text, line);
    CU_ASSERT(ga_daemon_left_objects(heap));
}

/* As the page table says; page 0 is beside them. */
static uint64_t pages_in_use(int meta, const struct ga_meta_header *header)
{
    uint64_t inuse = 0;
    for (uint64_t page = 0; page < header->committed_npages; page++) {
        uint64_t entry = 0;
        off_t at = (off_t)(header->page_table_offset + page * sizeof(entry));
        CU_ASSERT_EQUAL(pread(meta, &entry, sizeof(entry), at), sizeof(entry));
        inuse += (entry & GA_ENTRY_INUSE) != 0;
    }
    return inuse;
}

static void test_refusals(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("refused");
    const char *path = ga_daemon_path("refused");
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, build));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);

    struct ga_meta_header header;
    int meta = ga_daemon_open_object(heap, "meta", O_RDWR);
    CU_ASSERT_FATAL(meta >= 0 && pread(meta, &header, sizeof(header), 0) == sizeof(header));
    char why[128];
    snprintf(why, sizeof(why), "it lies at 0x%llx, and not where --base says",
             (unsigned long long)header.base);
    expect_refusal(heap, path, "--base", "0x600000000000", 2, why);
    expect_refusal(heap, path, "--reserve", "128M", 2,
                   "its reserve is 64 MiB, and not what --reserve says");
    snprintf(why, sizeof(why), "it has %llu bytes in use, more than the limit",
             (unsigned long long)(1 + pages_in_use(meta, &header)) * GA_PAGE_SIZE);
    expect_refusal(heap, path, "--limit", "1M", 2, why);

    /* What any client can write is no reason to refuse. */
    int bits = ga_daemon_open_object(heap, "bits", O_RDWR);
    CU_ASSERT(pwrite(bits, "damaged!", 8, 0) == 8);
    close(bits);

    /* Refused so often, it is still the heap that it was. */
    CU_ASSERT_FATAL(start(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(in_process(path, walk));
    CU_ASSERT(in_process(path, drop));
    CU_ASSERT(in_process(path, is_empty));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGKILL), 256 + SIGKILL);

    int object = ga_daemon_open_object(heap, "heap", O_RDWR);
    CU_ASSERT(object >= 0 && ftruncate(object, 4096) == 0);
    close(object);
    expect_refusal(heap, path, NULL, NULL, 7, "its heap object was truncated");

    /* Never finished, or ended: nothing to take over, and nothing to ask about. */
    header.state = GA_HEAP_IN_MAKING;
    CU_ASSERT(pwrite(meta, &header, sizeof(header), 0) == sizeof(header));
    close(meta);
    CU_ASSERT_FATAL(start(&daemon, heap, path, "--ephemeral", NULL));
    CU_ASSERT(ga_daemon_said(&daemon, "removed the heap '"));
    CU_ASSERT(in_process(path, is_empty));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a server that was told to end", test_told_to_end},
        {"a server that was killed", test_killed},
        {"a heap that becomes empty", test_empty_again},
        {"clients that live through it", test_living_clients},
        {"what is refused", test_refusals},
    };
    signal(SIGPIPE, SIG_IGN);
    int failed = ga_test_main("restart", tests, sizeof(tests) / sizeof(tests[0]));
    int left = ga_daemon_clean_up();
    if (left != 0)
        fprintf(stderr, "%d objects were left\n", left);
    return failed || left != 0;
}
