#include "support/private_shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int skip(const char *what)
{
    int r = -errno;
    printf("skipped: %s is refused here: %s\n", what, strerror(-r));
    return r;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Who is not root becomes so in a user namespace, in which mounting is allowed. */
static int become_root(void)
{
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWUSER) < 0)
        return skip("a user namespace");
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
    if (write_file("/proc/self/uid_map", map) < 0)
        return skip("to write uid_map");
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
    if (write_file("/proc/self/setgroups", "deny") < 0 || write_file("/proc/self/gid_map", map) < 0)
        return skip("to write gid_map");
    return 0;
}

int ga_private_shm_enter(const char *size)
{
    char options[64];
    snprintf(options, sizeof(options), "mode=1777,size=%s", size);
    if (geteuid() != 0) {
        int r = become_root();
        if (r < 0)
            return r;
    }
    if (unshare(CLONE_NEWNS) < 0)
        return skip("a mount namespace");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return skip("to make mounts private");
    if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return skip("to mount a tmpfs");
    return 0;
}
