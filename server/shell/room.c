/* A limit that is more than there is room for is a warning and no error: /dev/shm can be made
 * larger while the heap is in use, and memory that is promised twice is the rule on most machines.
 * Only who asked for a limit is told; the usual one, the reserve, is larger than most machines. */
#include "server/shell/room.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "server/shell/log.h"
#include "server/shell/size_text.h"
#include "shm/layout.h"

#define SHM         "/dev/shm"
#define GROUPS      "/sys/fs/cgroup"
#define GROUP_BYTES 1024
#define MIB         (UINT64_C(1) << 20)
#define LEAST_ROOM  (MIB / 2) /* what the heap's tables and its first growth take, and some */

int ga_room_check(void)
{
    struct statfs fs;
    int r = statfs(SHM, &fs) < 0 ? -errno : 0;
    if (r < 0) {
        ga_log(GA_LOG_ERROR,
               "there is no " SHM ", where the heap would lie: %s: mount a tmpfs there (mount -t "
               "tmpfs -o mode=1777 shm " SHM ")",
               strerror(-r));
        return r == -EACCES ? r : -ENOENT;
    }
    if (fs.f_type != TMPFS_MAGIC) {
        ga_log(GA_LOG_ERROR,
               SHM " is not mounted: it is a folder of another file system, and no tmpfs: mount "
                   "one there (mount -t tmpfs -o mode=1777 shm " SHM ")");
        return -ENOENT;
    }
    struct statvfs rights;
    if (statvfs(SHM, &rights) == 0 && (rights.f_flag & ST_RDONLY)) {
        ga_log(GA_LOG_ERROR,
               SHM " is mounted read-only: no heap can be made or served there (mount -o "
                   "remount,rw " SHM ")");
        return -EROFS;
    }
    if (access(SHM, W_OK | X_OK) < 0) {
        ga_log(GA_LOG_ERROR,
               "no right to write in " SHM ": its mode is to be 1777 (chmod 1777 " SHM ")");
        return -EACCES;
    }
    return 0;
}

/* Of the file system of /dev/shm as statvfs tells: all blocks, or those that are free. */
static uint64_t of_shm(bool all)
{
    struct statvfs fs;
    if (statvfs(SHM, &fs) < 0 || fs.f_blocks == 0)
        return UINT64_MAX;
    return (uint64_t)(all ? fs.f_blocks : fs.f_bavail) * fs.f_frsize;
}

uint64_t ga_room_of_shm(void)
{
    return of_shm(true);
}

static uint64_t of_machine(void)
{
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return UINT64_MAX;
    return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
}

/* The number in a file of a control group; UINT64_MAX where that is "max", or there is none. */
static uint64_t read_number(const char *path)
{
    uint64_t number = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (!file)
        return number;
    if (fscanf(file, "%" SCNu64, &number) != 1)
        number = UINT64_MAX;
    fclose(file);
    return number;
}

/* The group of this process in the one hierarchy of version 2, as in "0::/system.slice/x.service".
 */
static bool find_group(char ret_group[static GROUP_BYTES])
{
    char line[GROUP_BYTES];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        found = strncmp(line, "0::/", 4) == 0;
        if (found)
            snprintf(ret_group, GROUP_BYTES, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    }
    if (file)
        fclose(file);
    return found;
}

/* The least memory.max of the group and those above it. */
static uint64_t of_group(void)
{
    char group[GROUP_BYTES];
    uint64_t least = UINT64_MAX;
    bool more = find_group(group);
    while (more) {
        char path[GROUP_BYTES + 64];
        snprintf(path, sizeof(path), GROUPS "%s/memory.max", strcmp(group, "/") == 0 ? "" : group);
        uint64_t most = read_number(path);
        least = most < least ? most : least;
        char *slash = strrchr(group, '/');
        more = slash && group[0] != '\0';
        if (slash)
            *slash = '\0';
    }
    return least;
}

/* Sizes of machines are seldom whole MiB, and nobody wants their bytes. */
static const char *in_mib(uint64_t bytes, char ret_text[static GA_SIZE_TEXT_BYTES])
{
    return ga_size_format(bytes < MIB ? bytes : bytes / MIB * MIB, ret_text);
}

static void warn_of_limit(uint64_t limit_bytes)
{
    char limit[GA_SIZE_TEXT_BYTES];
    char room[GA_SIZE_TEXT_BYTES];
    uint64_t shm = of_shm(true);
    uint64_t group = of_group();
    uint64_t machine = of_machine();
    ga_size_format(limit_bytes, limit);
    if (limit_bytes > shm)
        ga_log(GA_LOG_WARNING,
               "the limit of %s is more than " SHM " can ever hold, %s: beyond that malloc fails; "
               "make it larger (mount -o remount,size=SIZE " SHM "; in a container --shm-size), "
               "or give a lower --limit",
               limit, in_mib(shm, room));
    if (limit_bytes > group)
        ga_log(
            GA_LOG_WARNING,
            "the limit of %s is more than this server's control group may have, %s (memory.max): "
            "before it is reached the kernel kills processes; raise that, or give a lower "
            "--limit",
            limit, in_mib(group, room));
    else if (limit_bytes > machine)
        ga_log(GA_LOG_WARNING,
               "the limit of %s is more than the machine's memory and swap, %s: before it is "
               "reached the kernel kills processes; give a lower --limit",
               limit, in_mib(machine, room));
}

void ga_room_warn(const struct ga_options *options)
{
    char room[GA_SIZE_TEXT_BYTES];
    if (options->limit_bytes != 0)
        warn_of_limit(options->limit_bytes);
    uint64_t left = of_shm(false);
    if (left < LEAST_ROOM)
        ga_log(GA_LOG_WARNING,
               SHM " has %s left: malloc fails at once, or soon; remove what is not "
                   "needed there, or make it larger (mount -o remount,size=SIZE " SHM
                   "; in a container --shm-size)",
               ga_size_format(left, room));
}
