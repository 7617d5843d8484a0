/* goallocd --huge-pages: where there are none it says so and serves; on a /dev/shm that gives some,
 * and on one where they are collapsed, a client maps the heap by huge pages, nothing that is
 * granted is SIGBUS when memory is used up, and what comes after is as without. Each on a tmpfs in
 * a mount namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/run.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define KIB     1024u
#define MIB     (1024u * KIB)
#define OBJECTS 64u /* of a MiB: as many as /dev/shm could hold if nothing else were in it */

static struct ga_daemon the_server;
static struct goalloc_heap *heap;
static unsigned char *objects[OBJECTS];
static struct ga_run run;
static bool collapsed; /* the kernel is told to make huge pages; the mount gives none */

static bool start(bool keep)
{
    const char *arguments[] = {
        "--name", ga_daemon_heap("huge"), "--socket", ga_daemon_path("huge"), "--reserve",
        "1G",     "--huge-pages",         NULL};
    struct ga_daemon_setup setup = {.keep = keep};
    return ga_daemon_launch(&the_server, &setup, arguments) && ga_daemon_wait(&the_server);
}

static void open_heap(void)
{
    CU_ASSERT_FATAL(start(false));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("huge"), NULL, &heap), 0);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(ga_daemon_heap("huge")));
}

/* Objects of a MiB, every byte written, until there is no memory or they are most. */
static unsigned fill(unsigned most)
{
    unsigned n = 0;
    errno = 0;
    while (n < most && (objects[n] = goalloc_malloc(heap, MIB))) {
        memset(objects[n], (int)n, MIB);
        n++;
    }
    return n;
}

static void empty(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        CU_ASSERT(objects[i][0] == i && memcmp(objects[i], objects[i] + 1, MIB - 1) == 0);
        goalloc_free(heap, objects[i]);
    }
}

/* How much of this process is mapped by huge pages of shared memory, KiB. */
static unsigned long mapped_huge(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

/* Bytes of memory that the heap object has. */
static unsigned long long heap_bytes(void)
{
    char path[256];
    struct stat st = {0};
    snprintf(path, sizeof(path), "/dev/shm/goalloc.%s.heap", ga_daemon_heap("huge"));
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    return (unsigned long long)st.st_blocks * 512;
}

static unsigned long long retained(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_sys - stats.heap_released;
}

static void give_all_back(void)
{
    const char *arguments[] = {"--socket", ga_daemon_path("huge"), "scavenge", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    CU_ASSERT_EQUAL(run.code, 0);
}

/* The server's process may have none, whatever the mount says. */
static void none(void)
{
    CU_ASSERT_EQUAL_FATAL(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    open_heap();
    CU_ASSERT_EQUAL_FATAL(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    CU_ASSERT(ga_daemon_said(&the_server, "no huge pages: /dev/shm gives none"));
    CU_ASSERT_EQUAL(fill(8), 8);
    CU_ASSERT_EQUAL(mapped_huge(), 0);
    empty(8);
    close_heap();
}

static void some(void)
{
    open_heap();
    CU_ASSERT(ga_daemon_said(&the_server, "huge pages: the heap takes its memory by 2 MiB"));
    CU_ASSERT_EQUAL(ga_daemon_said(&the_server, "by 2 MiB, collapsed"), collapsed);
    CU_ASSERT_EQUAL(fill(20), 20);
    CU_ASSERT(mapped_huge() >= 16ul * KIB);
    CU_ASSERT_EQUAL(heap_bytes(), retained());
    CU_ASSERT_EQUAL(retained() % (2 * MIB), 0);
    empty(20);
    close_heap();
}

/* Twice, so that what the first round has taken is there for the second. */
static void used_up(void)
{
    open_heap();
    for (int round = 0; round < 2; round++) {
        unsigned n = fill(OBJECTS);
        CU_ASSERT_EQUAL(errno, ENOMEM);
        CU_ASSERT(n > 40 && n < OBJECTS);
        CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 3 * MIB));
        empty(n);
    }
    close_heap();
}

/* What was got of memory that is too little is given back. */
static void in_vain(void)
{
    open_heap();
    CU_ASSERT_EQUAL(fill(50), 50);
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 15 * MIB));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT(heap_bytes() < stats.heap_sys + 4 * MIB);
    empty(50);
    close_heap();
}

/* The next server takes huge pages too, behind what the first one has committed. */
static void next_server(void)
{
    CU_ASSERT_FATAL(start(true));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("huge"), NULL, &heap), 0);
    CU_ASSERT_EQUAL(fill(3), 3);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(start(false));
    empty(3);
    unsigned long long before = heap_bytes();
    CU_ASSERT_EQUAL(fill(20), 20);
    CU_ASSERT(heap_bytes() >= before + 14 * MIB);
    CU_ASSERT(mapped_huge() >= 14ul * KIB);
    empty(20);
    close_heap();
}

/* Few pages here and there among those that were given back: each takes no more than itself, or the
 * rest of its huge page would be memory that counts as given back. */
static void among_holes(void)
{
    void *few[OBJECTS / 4] = {0};
    open_heap();
    CU_ASSERT_EQUAL(fill(OBJECTS * 3 / 4), OBJECTS * 3 / 4);
    empty(OBJECTS * 3 / 4);
    give_all_back();
    for (unsigned i = 0; i < OBJECTS / 4; i++) {
        few[i] = goalloc_aligned_alloc(heap, 2 * MIB, 40 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(few[i]);
    }
    CU_ASSERT(heap_bytes() < retained() + 4 * MIB); /* what is behind the end beside it */
    for (unsigned i = 0; i < OBJECTS / 4; i++)
        goalloc_free(heap, few[i]);
    give_all_back();
    CU_ASSERT_EQUAL(heap_bytes(), retained()); /* all is in the books */
    CU_ASSERT_EQUAL(fill(20), 20);             /* what is wanted whole comes in huge pages again */
    CU_ASSERT(mapped_huge() >= 4ul * KIB);
    empty(20);
    close_heap();
}

/* Whether goallocd finds huge pages. */
static bool gives_any(void)
{
    bool started = start(false);
    bool given = started && ga_daemon_said(&the_server, "info: huge pages");
    ga_daemon_end(&the_server, SIGTERM);
    return given;
}

static const struct ga_test without[] = {{"none are to be had", none}};
static const struct ga_test with[] = {
    {"some are to be had", some},     {"all are used up", used_up}, {"too few", in_vain},
    {"the next server", next_server}, {"among holes", among_holes},
};

/* Whether the kernel makes a huge page of a file in /dev/shm when it is told to. */
static bool can_collapse(void)
{
    bool can = false;
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *room =
        mmap(NULL, 4 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* for an aligned one */
    if (fd >= 0 && room != MAP_FAILED && ftruncate(fd, 2 * MIB) == 0) {
        char *page = mmap(room + (2 * MIB - (uintptr_t)room % (2 * MIB)), 2 * MIB,
                          PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
        *page = 1;
        can = madvise(page, 2 * MIB, MADV_COLLAPSE) == 0;
    }
    munmap(room, 4 * MIB);
    close(fd);
    return can;
}

/* On a /dev/shm with these options. 77 where the kernel gives no huge pages there. */
static int test_on(const char *options)
{
    if (ga_private_shm_enter(options) < 0 || (!gives_any() && !(collapsed && can_collapse()))) {
        printf("skipped: no huge pages on a tmpfs mounted with %s\n", options);
        return 77;
    }
    return ga_test_main("integration.huge_pages", with, sizeof(with) / sizeof(with[0]));
}

int main(void)
{
    if (ga_private_shm_enter("64m,huge=never") < 0)
        return 77;
    alarm(110);
    int code = ga_test_main("integration.huge_pages", without, 1);
    collapsed = true;
    int on_never = test_on("64m,huge=never");
    collapsed = false;
    int on_advise = test_on("64m,huge=advise");
    if (code == 0)
        code = on_never == 0 || on_never == 77 ? on_advise : on_never;
    if (code == 77)
        code = on_never;
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
