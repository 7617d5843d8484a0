/* The headers are read with pread, not mapped: another server may be removing the object. Names are
 * found in /dev/shm, where Linux shows POSIX shared memory. A server is alive when the process in
 * its header is; and when its lock on the meta object is held, which tells also of a server of
 * another pid namespace, and of one that has not written its header yet.
 *
 * /dev/shm is everybody's to write in. So opening never waits, as it would for a pipe, and what
 * another user has put there claims no addresses. */
#include "server/shell/neighbours.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/shell/log.h"
#include "server/shell/process.h"
#include "shm/atomic.h"
#include "shm/mapping.h"
#include "shm/server_lock.h"

#define SHM_DIRECTORY "/dev/shm"
#define NAME_PREFIX   "goalloc."
#define NAME_SUFFIX   ".meta"
#define ADDRESS_END   (UINT64_C(1) << 47) /* of what user space can have */

/* Open the meta object of name, if it is one to be listened to. A descriptor or a negative errno.
 */
static int open_meta(const char *name)
{
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, GA_OBJECT_META, path);
    int fd = shm_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct stat st;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0)))
        r = -EPERM;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int ga_neighbour_read(const char *name, struct ga_neighbour *ret)
{
    int fd = open_meta(name);
    if (fd < 0)
        return fd;
    struct ga_meta_header header = {0};
    ssize_t n = pread(fd, &header, sizeof(header), 0);
    int r = n < 0 ? -errno : 0;
    bool locked = ga_server_lock_is_held(fd);
    close(fd);
    if (r < 0)
        return r;

    struct ga_neighbour neighbour = {
        .locked = locked, .being_made = header.magic == GA_META_MAKING, .blank = header.magic == 0};
    snprintf(neighbour.name, sizeof(neighbour.name), "%s", name);
    /* Magic and version are where every layout has them. */
    if ((size_t)n == sizeof(header) && header.magic == GA_META_MAGIC)
        neighbour.layout_version = header.layout_version;
    if (neighbour.layout_version == GA_LAYOUT_VERSION) {
        neighbour.state = header.state;
        neighbour.limit_bytes = ga_load_relaxed(&header.limit_bytes);
        neighbour.server_pid = header.server_pid;
        neighbour.server_start_time = header.server_start_time;
        if (header.base < ADDRESS_END && header.reserve_bytes <= GA_RESERVE_MAX) {
            neighbour.base = header.base;
            neighbour.reserve_bytes = header.reserve_bytes;
        }
    }
    *ret = neighbour;
    return 0;
}

bool ga_neighbour_has_data(const char *name)
{
    for (int object = GA_OBJECT_META + 1; object < GA_OBJECT_COUNT; object++) {
        char path[GA_OBJECT_NAME_BYTES];
        struct stat st;
        ga_object_name(name, (enum ga_object)object, path);
        int fd = shm_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
        if (fd < 0 && errno == ENOENT)
            continue;
        bool has = fd < 0 || fstat(fd, &st) < 0 || st.st_blocks != 0;
        if (fd >= 0)
            close(fd);
        if (has)
            return true;
    }
    return false;
}

bool ga_neighbour_is_served(const struct ga_neighbour *neighbour)
{
    return neighbour->locked ||
           (neighbour->layout_version == GA_LAYOUT_VERSION &&
            ga_process_is_alive(neighbour->server_pid, neighbour->server_start_time));
}

void ga_neighbour_announce(int meta_fd)
{
    if (ga_server_lock_take(meta_fd) < 0)
        ga_log(
            GA_LOG_WARNING,
            "a reader locks the meta object: a server of another pid namespace will not see that "
            "the heap is served");
}

/* The heap's name in a file name like goalloc.NAME.meta; false where it is no such file. */
static bool name_of_file(const char *file, char ret_name[static GA_HEAP_NAME_MAX + 1])
{
    size_t prefix = strlen(NAME_PREFIX);
    size_t suffix = strlen(NAME_SUFFIX);
    size_t length = strlen(file);
    if (length <= prefix + suffix || length - prefix - suffix > GA_HEAP_NAME_MAX ||
        strncmp(file, NAME_PREFIX, prefix) != 0 || strcmp(file + length - suffix, NAME_SUFFIX) != 0)
        return false;
    memcpy(ret_name, file + prefix, length - prefix - suffix);
    ret_name[length - prefix - suffix] = '\0';
    return ga_heap_name_is_valid(ret_name);
}

bool ga_neighbours_overlap(const char *name, uint64_t base, uint64_t bytes,
                           struct ga_neighbour *ret)
{
    DIR *directory = opendir(SHM_DIRECTORY);
    if (!directory)
        return false;
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(directory))) {
        char other[GA_HEAP_NAME_MAX + 1];
        struct ga_neighbour neighbour;
        if (!name_of_file(entry->d_name, other) || strcmp(other, name) == 0 ||
            ga_neighbour_read(other, &neighbour) < 0)
            continue;
        /* Where its header says nothing that can be so, both are 0, and this is false. */
        found = neighbour.base < base + bytes && base < neighbour.base + neighbour.reserve_bytes;
        if (found)
            *ret = neighbour;
    }
    closedir(directory);
    return found;
}
