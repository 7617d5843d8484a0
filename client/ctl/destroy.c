/* A server that starts, ends or takes a heap over holds the lock of /dev/shm meanwhile, and the one
 * of the meta object as long as it lives. Both are taken here, so no server comes in between the
 * look and the removal. meta goes last: it has the name, and while it is there no other heap is
 * made under it. */
#include "client/ctl/destroy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/command_line.h"
#include "proto/error.h"
#include "shm/dirlock.h"
#include "shm/mapping.h"
#include "shm/process.h"
#include "shm/server_lock.h"

/* A server that is about to start or to take over a large heap is soon done; one that restores a
 * large one is not, and then it is better to say so. */
#define LOCK_WAIT_MS 10000

static int refuse(const char *name, int err, const char *why)
{
    fprintf(stderr, "goallocctl: heap '%s' is not removed: %s\n", name, why);
    return err;
}

/* Whether a heap with this header may be removed. One that was never made to its end, or is
 * damaged, may: nobody can use it any more. */
static int check(const char *name, const struct ga_meta_header *header)
{
    char why[128];
    if (header->magic == 0 || header->magic == GA_META_MAKING)
        return 0;
    if (header->magic != GA_META_MAGIC)
        return refuse(name, -EPROTO, "its meta object is no goalloc heap");
    if (header->layout_version != GA_LAYOUT_VERSION) {
        snprintf(why, sizeof(why), "its layout version is %" PRIu32 ", known here is %u",
                 header->layout_version, GA_LAYOUT_VERSION);
        return refuse(name, -EPROTO, why);
    }
    if (ga_process_is_alive(header->server_pid, header->server_start_time)) {
        snprintf(why, sizeof(why), "its server, process %" PRIu32 ", is alive", header->server_pid);
        return refuse(name, -EBUSY, why);
    }
    return 0;
}

static int look(const char *name, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return refuse(name, -EPROTO, "its meta object is no goalloc heap");
    struct ga_meta_header header = {0};
    if (pread(fd, &header, sizeof(header), 0) < 0)
        return refuse(name, -errno, ga_error_text(-errno));
    int err = check(name, &header);
    /* Also a server of another pid namespace, or one that has no header yet, holds this. */
    if (err == 0 && ga_server_lock_is_held(fd))
        err = refuse(name, -EBUSY, "a server holds it");
    return err;
}

static int remove_objects(const char *name)
{
    bool any = false;
    for (int object = GA_OBJECT_COUNT - 1; object >= 0; object--) {
        int err = ga_object_unlink(name, (enum ga_object)object);
        if (err < 0 && err != -ENOENT)
            return refuse(name, err, ga_error_text(err));
        any = any || err == 0;
    }
    if (!any) {
        fprintf(stderr, "goallocctl: there is no heap '%s' in /dev/shm\n", name);
        return -ENOENT;
    }
    printf("removed heap '%s'\n", name);
    return 0;
}

int ga_ctl_destroy(const struct ga_request *request)
{
    const char *name = request->operand;
    int lock = ga_dirlock_take("/dev/shm", LOCK_WAIT_MS);
    if (lock < 0)
        return refuse(name, -EBUSY, "another process starts or ends a heap just now; try again");
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, GA_OBJECT_META, path);
    int fd = shm_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
    int err = fd < 0 && errno != ENOENT ? refuse(name, -errno, ga_error_text(-errno)) : 0;
    if (fd >= 0)
        err = look(name, fd);
    if (err == 0)
        err = remove_objects(name);
    if (fd >= 0)
        close(fd);
    ga_dirlock_release(lock);
    return err;
}
