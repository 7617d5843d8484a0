/* Where no heap can be, or not the one that is asked for: /dev/shm too small, full, read-only, not
 * a tmpfs, not there; a limit beyond the memory; a group that the server is not in. Each is said at
 * the start, with what to do, and has its exit code. All in a mount namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"

#define NOBODY 65534
#define SHM    "/dev/shm"

static bool is_root; /* of the machine, before the namespaces */

static bool start(struct ga_daemon *daemon, uid_t uid, const char *option, const char *value)
{
    const char *arguments[] = {"--name",    ga_daemon_heap("places"),
                               "--socket",  ga_daemon_path("sock"),
                               "--reserve", "320G",
                               option,      value,
                               NULL};
    return ga_daemon_start(daemon, uid, arguments);
}

/* It must not start, exit with code, and say exactly this. */
static void expect_refusal(uid_t uid, const char *option, const char *value, int code,
                           const char *sentence)
{
    struct ga_daemon daemon;
    char line[512];
    snprintf(line, sizeof(line), "goallocd: error: %s\n", sentence);
    bool ready = start(&daemon, uid, option, value);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, ready ? SIGKILL : 0), code);
    CU_ASSERT_STRING_EQUAL(daemon.text, line);
    if (strcmp(daemon.text, line) != 0)
        fprintf(stderr, "said:     %sexpected: %s", daemon.text, line);
}

/* It must start, and say a warning that begins so; or none at all where that is NULL. */
static void expect_warning(const char *limit, const char *sentence)
{
    struct ga_daemon daemon;
    char line[512];
    snprintf(line, sizeof(line), "goallocd: warning: %s", sentence ? sentence : "");
    CU_ASSERT_FATAL(start(&daemon, 0, limit ? "--limit" : NULL, limit));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_EQUAL(strstr(daemon.text, line) != NULL, sentence != NULL);
    if ((strstr(daemon.text, line) != NULL) != (sentence != NULL))
        fprintf(stderr, "said:     %sexpected: %s\n", daemon.text, line);
}

static void remount(const char *options)
{
    CU_ASSERT_EQUAL_FATAL(mount("tmpfs", SHM, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, options),
                          0);
}

static void too_small(void)
{
    struct ga_daemon daemon;
    expect_warning("64M", NULL);
    expect_warning("65M", "the limit of 65 MiB is more than /dev/shm can ever hold, 64 MiB: beyond "
                          "that malloc fails; make it larger (mount -o remount,size=SIZE /dev/shm; "
                          "in a container --shm-size), or give a lower --limit\n");
    /* Nobody asked for the usual limit, but all can see it. */
    expect_warning(NULL, NULL);
    CU_ASSERT_FATAL(start(&daemon, 0, NULL, NULL));
    CU_ASSERT(ga_daemon_said(&daemon, "limit 320 GiB, which is more than /dev/shm holds\n"));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    remount("mode=1777,size=128k");
    expect_warning(NULL,
                   "/dev/shm has 80 KiB left: malloc fails at once, or soon; remove what is "
                   "not needed there, or make it larger (mount -o remount,size=SIZE /dev/shm; "
                   "in a container --shm-size)\n");
}

static void full(void)
{
    remount("mode=1777,size=4k");
    int fd = open(SHM "/filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL_FATAL(posix_fallocate(fd, 0, 4096), 0);
    expect_refusal(0, NULL, NULL, 10, "the heap cannot be made: no memory is left in /dev/shm");
    close(fd);
    unlink(SHM "/filler");
    remount("mode=1777,size=64m");
}

static void more_than_memory(void)
{
    struct sysinfo info;
    sysinfo(&info);
    CU_ASSERT_FATAL((uint64_t)(info.totalram + info.totalswap) * info.mem_unit < UINT64_C(320)
                                                                                     << 30);
    remount("mode=1777,size=512g");
    expect_warning("320G", "the limit of 320 GiB is more than the machine's memory and swap, ");
    remount("mode=1777,size=64m");
}

/* The group of this process and those above it are in a tree of the test's own. */
static void more_than_group(void)
{
    if (mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0) {
        printf("skipped: no tmpfs can be mounted on /sys/fs/cgroup\n");
        return;
    }
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("33554432\n", file);
    fclose(file);
    expect_warning("16M", NULL);
    expect_warning("48M", "the limit of 48 MiB is more than this server's control group may have, "
                          "32 MiB (memory.max): before it is reached the kernel kills processes; "
                          "raise that, or give a lower --limit\n");
    file = fopen("/sys/fs/cgroup/memory.max", "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("max\n", file);
    fclose(file);
    expect_warning("48M", NULL);
    umount("/sys/fs/cgroup");
}

static void read_only(void)
{
    CU_ASSERT_EQUAL_FATAL(
        mount("tmpfs", SHM, "tmpfs", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL), 0);
    expect_refusal(0, NULL, NULL, 6,
                   "/dev/shm is mounted read-only: no heap can be made or served there (mount -o "
                   "remount,rw /dev/shm)");
    remount("mode=1777,size=64m");
}

static void no_tmpfs(void)
{
    CU_ASSERT_EQUAL_FATAL(mount("/proc/self", SHM, NULL, MS_BIND, NULL), 0);
    expect_refusal(0, NULL, NULL, 5,
                   "/dev/shm is not mounted: it is a folder of another file system, and no tmpfs: "
                   "mount one there (mount -t tmpfs -o mode=1777 shm /dev/shm)");
    CU_ASSERT_EQUAL_FATAL(umount(SHM), 0);
}

/* A folder with a null device and nothing else in the place of /dev. */
static void not_there(void)
{
    const char *folder = ga_daemon_path("dev");
    const char *null = ga_daemon_path("dev/null");
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0755), 0);
    fclose(fopen(null, "w"));
    CU_ASSERT_EQUAL_FATAL(mount("/dev/null", null, NULL, MS_BIND, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(mount(folder, "/dev", NULL, MS_BIND | MS_REC, NULL), 0);
    expect_refusal(0, NULL, NULL, 5,
                   "there is no /dev/shm, where the heap would lie: No such file or directory: "
                   "mount a tmpfs there (mount -t tmpfs -o mode=1777 shm /dev/shm)");
    CU_ASSERT_EQUAL(umount2("/dev", MNT_DETACH), 0);
    CU_ASSERT_EQUAL(umount2(null, MNT_DETACH), 0);
    unlink(null);
    rmdir(folder);
}

static void no_right(void)
{
    if (!is_root) {
        printf("skipped: only root can run the server as somebody else\n");
        return;
    }
    CU_ASSERT_EQUAL_FATAL(chmod(ga_daemon_folder(), 0777), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(SHM, 0755), 0);
    expect_refusal(NOBODY, NULL, NULL, 6,
                   "no right to write in /dev/shm: its mode is to be 1777 (chmod 1777 /dev/shm)");
    CU_ASSERT_EQUAL_FATAL(chmod(SHM, 01777), 0);
    char sentence[256];
    snprintf(sentence, sizeof(sentence),
             "the shared memory object /goalloc.%s.meta cannot be made: --group: only a member of "
             "the group, or root, may give it to that",
             ga_daemon_heap("places"));
    CU_ASSERT_EQUAL_FATAL(setgroups(0, NULL), 0);
    expect_refusal(NOBODY, "--group", "4", 6, sentence);
    CU_ASSERT_FALSE(ga_daemon_left_objects(ga_daemon_heap("places")));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"/dev/shm too small", too_small},
        {"/dev/shm full", full},
        {"a limit beyond the machine's memory", more_than_memory},
        {"a limit beyond the control group's", more_than_group},
        {"/dev/shm read-only", read_only},
        {"/dev/shm no tmpfs", no_tmpfs},
        {"no /dev/shm", not_there},
        {"no right", no_right},
    };
    is_root = geteuid() == 0;
    if (ga_private_shm_enter("64m") < 0)
        return 77;
    int r = ga_test_main("places", tests, sizeof(tests) / sizeof(tests[0]));
    ga_daemon_clean_up();
    return r;
}
