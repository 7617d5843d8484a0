/* MADV_POPULATE_WRITE says EFAULT where a store would be SIGBUS, so nobody is struck when memory is
 * short; and it may stop half-way, so what it has done counts for nothing until fallocate agrees.
 */
#include "server/shell/huge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/shell/log.h"

#define STAT_BLOCK_BYTES 512u

static_assert(GA_ARENA_SIZE % GA_HUGE_PAGE_BYTES == 0,
              "the heap begins and ends between huge pages");

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before, it is EINVAL */
#endif

void ga_huge_touch(const struct ga_mapping *heap, uint64_t offset, uint64_t bytes)
{
    int err = errno;
    uint64_t begin = (offset + GA_HUGE_PAGE_BYTES - 1) & ~(GA_HUGE_PAGE_BYTES - 1);
    uint64_t end = (offset + bytes) & ~(GA_HUGE_PAGE_BYTES - 1);
    if (begin < end)
        (void)madvise((char *)heap->address + begin, end - begin, MADV_POPULATE_WRITE);
    errno = err;
}

/* Whether the first touch of the file, mapped at address, gets it a huge page. */
static bool gets_huge_page(int fd, void *address)
{
    struct stat st;
    if (madvise(address, GA_HUGE_PAGE_BYTES, MADV_HUGEPAGE) < 0 ||
        madvise(address, GA_OS_PAGE_SIZE, MADV_POPULATE_WRITE) < 0)
        return false;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * STAT_BLOCK_BYTES >= GA_HUGE_PAGE_BYTES;
}

/* The mount, the system's setting and the state of its memory decide; so it is tried. */
static bool are_to_be_had(void)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool given = false;
    void *room = mmap(NULL, 2 * GA_HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room != MAP_FAILED && ftruncate(fd, (off_t)GA_HUGE_PAGE_BYTES) == 0) {
        char *aligned = (char *)room + (GA_HUGE_PAGE_BYTES - (uintptr_t)room % GA_HUGE_PAGE_BYTES) %
                                           GA_HUGE_PAGE_BYTES;
        void *page = mmap(aligned, GA_HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, fd, 0);
        given = page != MAP_FAILED && gets_huge_page(fd, page);
    }
    if (room != MAP_FAILED)
        munmap(room, 2 * GA_HUGE_PAGE_BYTES);
    close(fd);
    return given;
}

bool ga_huge_begin(const struct ga_mapping *heap)
{
    if (!are_to_be_had() || madvise(heap->address, heap->bytes, MADV_HUGEPAGE) < 0) {
        ga_log(GA_LOG_WARNING,
               "no huge pages: /dev/shm gives none, which root may change with 'mount -o "
               "remount,huge=advise /dev/shm'");
        return false;
    }
    ga_log(GA_LOG_INFO, "huge pages: the heap takes its memory by 2 MiB");
    return true;
}
