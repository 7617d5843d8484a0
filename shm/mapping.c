/* Objects live in the POSIX shared memory name space as /goalloc.NAME.meta, .bits and .heap. An
 * object is made O_EXCL and adopted without O_CREAT, so nobody slips another under its name; what
 * is opened must belong to the user who serves the heap. */
#include "shm/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const suffixes[GA_OBJECT_COUNT] = {"meta", "bits", "heap"};

static bool may_be_in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool ga_heap_name_is_valid(const char *name)
{
    size_t length = 0;
    while (length <= GA_HEAP_NAME_MAX && may_be_in_name(name[length]))
        length++;
    return length > 0 && length <= GA_HEAP_NAME_MAX && name[length] == '\0' && name[0] != '.';
}

void ga_object_name(const char *name, enum ga_object object,
                    char ret_name[static GA_OBJECT_NAME_BYTES])
{
    snprintf(ret_name, GA_OBJECT_NAME_BYTES, "/goalloc.%s.%s", name, suffixes[object]);
}

/* Map fd whole at address, or anywhere if that is 0. */
static int map(int fd, uint64_t address, uint64_t bytes, int protection, void **ret)
{
    void *wanted = (void *)(uintptr_t)address; /* NOLINT: the address is the point */
    int flags = MAP_SHARED | MAP_NORESERVE | (address ? MAP_FIXED_NOREPLACE : 0);
    void *got = mmap(wanted, bytes, protection, flags, fd, 0);
    if (got == MAP_FAILED)
        return errno == EEXIST ? -EADDRINUSE : -errno;
    /* A kernel that does not know the flag, or a sanitizer's, may put it elsewhere. */
    if (address && got != wanted) {
        munmap(got, bytes);
        return -EADDRINUSE;
    }
    /* A core file of every client with the whole heap in it helps nobody. */
    madvise(got, bytes, MADV_DONTDUMP);
    *ret = got;
    return 0;
}

int ga_mapping_create(const char *name, enum ga_object object, unsigned mode, uint64_t address,
                      uint64_t bytes, struct ga_mapping *ret)
{
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, object, path);
    int fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, (mode_t)mode) < 0 ? -errno : 0; /* whatever the umask is */
    void *got = NULL;
    if (r == 0)
        r = map(fd, address, bytes, PROT_READ | PROT_WRITE, &got);
    if (r < 0) {
        close(fd);
        shm_unlink(path);
        return r;
    }
    *ret = (struct ga_mapping){.fd = fd, .address = got, .bytes = bytes};
    return 0;
}

/* Whether the opened object is one that may be trusted to be what it says, and how long it is. */
static int inspect(int fd, int64_t owner_uid, uint64_t *ret_bytes)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EPROTO;
    if (owner_uid >= 0 && st.st_uid != (uid_t)owner_uid)
        return -EPERM;
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

static int open_object(const char *name, enum ga_object object, bool read_only, int64_t owner_uid,
                       uint64_t address, uint64_t bytes, struct ga_mapping *ret)
{
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, object, path);
    /* Not blocking: somebody may have put a FIFO there. */
    int fd = shm_open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return -errno;

    uint64_t size = 0;
    int r = inspect(fd, owner_uid, &size);
    if (r == 0 && object == GA_OBJECT_META && size < sizeof(struct ga_meta_header))
        r = -EPROTO;
    /* Only the heap object grows; the others have their full size from the beginning. */
    if (r == 0 && object != GA_OBJECT_HEAP && bytes > size)
        r = -EPROTO;
    if (r == 0 && bytes == 0)
        bytes = size;
    if (r == 0 && bytes == 0)
        r = -EPROTO; /* still being made, or cut to nothing: no header */
    void *got = NULL;
    if (r == 0)
        r = map(fd, address, bytes, read_only ? PROT_READ : PROT_READ | PROT_WRITE, &got);
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret = (struct ga_mapping){.fd = fd, .address = got, .bytes = bytes};
    return 0;
}

int ga_mapping_open(const char *name, enum ga_object object, bool read_only, int64_t owner_uid,
                    uint64_t address, uint64_t bytes, struct ga_mapping *ret)
{
    return open_object(name, object, read_only || object == GA_OBJECT_META, owner_uid, address,
                       bytes, ret);
}

int ga_mapping_adopt(const char *name, enum ga_object object, int64_t owner_uid, uint64_t address,
                     uint64_t bytes, struct ga_mapping *ret)
{
    return open_object(name, object, false, owner_uid, address, bytes, ret);
}

void ga_mapping_close(struct ga_mapping *m)
{
    if (m->address)
        munmap(m->address, m->bytes);
    if (m->fd >= 0)
        close(m->fd);
    *m = GA_MAPPING_NONE;
}

int ga_object_unlink(const char *name, enum ga_object object)
{
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, object, path);
    return shm_unlink(path) < 0 ? -errno : 0;
}

bool ga_window_is_free(uint64_t address, uint64_t bytes)
{
    void *wanted = (void *)(uintptr_t)address; /* NOLINT: the address is the point */
    void *got = mmap(wanted, bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED)
        return false;
    munmap(got, bytes);
    return got == wanted;
}
