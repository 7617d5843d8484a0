/* A heap that had given memory back is restored where there is no more memory than it had then: in
 * a /dev/shm of the test's own, of which somebody else has taken the rest. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/run.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"

#define MIB     ((size_t)1 << 20)
#define OBJECTS 40u /* of a MiB and a page */
#define KEPT    4u  /* of them, the last */

static struct ga_daemon the_server;
static struct ga_run run;

static void start(const char *option, const char *value)
{
    const char *arguments[] = {
        "--name", ga_daemon_heap("room"), "--socket", ga_daemon_path("sock"), option, value, NULL};
    CU_ASSERT_FATAL(ga_daemon_start(&the_server, 0, arguments));
}

static void ctl(const char *command, const char *argument)
{
    const char *arguments[] = {"--socket", ga_daemon_path("sock"), command, argument, NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    CU_ASSERT_EQUAL(run.code, 0);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_heap *heap = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("sock"), NULL, &heap), 0);
    return heap;
}

/* A heap whose end is far behind what it has memory for, in file. */
static void make_snapshot(const char *file)
{
    unsigned char *objects[OBJECTS];
    start("--reserve", "256M");
    struct goalloc_heap *heap = attach();
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = goalloc_malloc(heap, MIB + 8192);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
        memset(objects[i], (int)i + 1, MIB);
    }
    for (unsigned i = 0; i < OBJECTS - KEPT; i++)
        goalloc_free(heap, objects[i]);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "last", objects[OBJECTS - 1]), 0);
    goalloc_detach(heap);
    ctl("scavenge", NULL);
    ctl("snapshot", file);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
}

static uint64_t memory_of_heap(void)
{
    struct stat st = {0};
    int fd = ga_daemon_open_object(ga_daemon_heap("room"), "heap", O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    close(fd);
    return (uint64_t)st.st_blocks * 512;
}

static void restored_in_little_room(void)
{
    char file[128];
    snprintf(file, sizeof(file), "%s", ga_daemon_path("snapshot"));
    make_snapshot(file);
    int filler = open("/dev/shm/filler", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL_FATAL(fallocate(filler, 0, 0, OBJECTS * MIB), 0);
    start("--restore", file);
    CU_ASSERT(memory_of_heap() < 2 * KEPT * MIB);
    struct goalloc_heap *heap = attach();
    void *found = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_lookup(heap, "last", &found), 0);
    const unsigned char *last = found;
    CU_ASSERT(last[0] == OBJECTS && memcmp(last, last + 1, MIB - 1) == 0);
    /* And what had been given back is to be had again. */
    unsigned char *more = goalloc_calloc(heap, 1, 8 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(more);
    CU_ASSERT(more[0] == 0 && memcmp(more, more + 1, 8 * MIB - 1) == 0);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
    close(filler);
    unlink("/dev/shm/filler");
}

int main(void)
{
    if (ga_private_shm_enter("64m") < 0)
        return 77;
    alarm(110);
    const struct ga_test tests[] = {{"restored in little room", restored_in_little_room}};
    int code = ga_test_main("integration.snapshot_room", tests, 1);
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
