/* Tables are sparse: /proc/PID/pagemap tells which of their pages have ever been touched. */
#include "client/ctl/process_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shm/layout.h"

#define HAS_MEMORY    (UINT64_C(3) << 62) /* present, or swapped */
#define PAGES_AT_ONCE 512u

int ga_process_memory_read(uint32_t pid, uint64_t address, uint64_t bytes, void *ret)
{
    char *to = ret;
    while (bytes > 0) {
        struct iovec local = {.iov_base = to, .iov_len = bytes};
        struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
        ssize_t n = process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EFAULT;
        to += n;
        address += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

/* Read those of npages OS pages from address on that pagemap says have memory, each run of them at
 * once. */
static int copy_present(uint32_t pid, uint64_t address, const uint64_t *pagemap, uint32_t npages,
                        char *copy, uint64_t *sys_bytes)
{
    uint32_t from = 0;
    while (from < npages) {
        uint32_t to = from;
        while (to < npages && (pagemap[to] & HAS_MEMORY) != 0)
            to++;
        uint64_t bytes = (to - from) * GA_OS_PAGE_SIZE;
        int r = bytes ? ga_process_memory_read(pid, address + from * GA_OS_PAGE_SIZE, bytes,
                                               copy + from * GA_OS_PAGE_SIZE)
                      : 0;
        if (r < 0)
            return r;
        *sys_bytes += bytes;
        from = to + 1;
    }
    return 0;
}

static int copy_all(int pagemap_fd, uint32_t pid, uint64_t address, uint64_t bytes, char *copy,
                    uint64_t *sys_bytes)
{
    uint64_t pagemap[PAGES_AT_ONCE];
    for (uint64_t at = 0; at < bytes; at += PAGES_AT_ONCE * GA_OS_PAGE_SIZE) {
        uint64_t left = (bytes - at) / GA_OS_PAGE_SIZE;
        uint32_t npages = left < PAGES_AT_ONCE ? (uint32_t)left : PAGES_AT_ONCE;
        off_t where = (off_t)((address + at) / GA_OS_PAGE_SIZE * sizeof(*pagemap));
        ssize_t n = pread(pagemap_fd, pagemap, npages * sizeof(*pagemap), where);
        if (n != (ssize_t)(npages * sizeof(*pagemap)))
            return n < 0 ? -errno : -ESRCH; /* of one that has ended it is empty */
        int r = copy_present(pid, address + at, pagemap, npages, copy + at, sys_bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

int ga_process_memory_copy(uint32_t pid, uint64_t address, uint64_t bytes, char *copy,
                           uint64_t *ret_sys_bytes)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/pagemap", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    *ret_sys_bytes = 0;
    int r = copy_all(fd, pid, address, bytes, copy, ret_sys_bytes);
    close(fd);
    return r;
}
