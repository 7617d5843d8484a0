/* MADV_POPULATE_WRITE says EFAULT where a store would be SIGBUS, and MADV_COLLAPSE an error, so
 * nobody is struck when memory is short; and they may stop half-way, so what they have done counts
 * for nothing until fallocate agrees. */
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
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; likewise */
#endif

/* Have memory for the first page of a huge one. Whether there is any. */
static bool begin_page(int fd, uint64_t offset)
{
    int r;
    do {
        r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, GA_OS_PAGE_SIZE);
    } while (r < 0 && errno == EINTR);
    return r == 0;
}

/* Collapse the huge pages from begin to end, each of which needs its first page for that. */
static void collapse(int fd, char *mapped, uint64_t begin, uint64_t end)
{
    for (uint64_t page = begin; page < end; page += GA_HUGE_PAGE_BYTES)
        if (!begin_page(fd, page))
            return; /* who commits it all is told */
    (void)madvise(mapped + begin, end - begin, MADV_COLLAPSE);
}

void ga_huge_populate(const struct ga_mapping *heap, enum ga_huge huge, uint64_t offset,
                      uint64_t bytes)
{
    int err = errno;
    uint64_t begin = (offset + GA_HUGE_PAGE_BYTES - 1) & ~(GA_HUGE_PAGE_BYTES - 1);
    uint64_t end = (offset + bytes) & ~(GA_HUGE_PAGE_BYTES - 1);
    if (begin < end && huge == GA_HUGE_COLLAPSED)
        collapse(heap->fd, heap->address, begin, end);
    else if (begin < end)
        (void)madvise((char *)heap->address + begin, end - begin, MADV_POPULATE_WRITE);
    errno = err;
}

static bool has_huge_page(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * STAT_BLOCK_BYTES >= GA_HUGE_PAGE_BYTES;
}

/* How the file, of the length of a huge page and mapped at address, gets one. */
static enum ga_huge how(int fd, void *address)
{
    if (madvise(address, GA_HUGE_PAGE_BYTES, MADV_HUGEPAGE) < 0)
        return GA_HUGE_NONE;
    (void)madvise(address, GA_OS_PAGE_SIZE, MADV_POPULATE_WRITE);
    if (has_huge_page(fd))
        return GA_HUGE_TOUCHED;
    collapse(fd, address, 0, GA_HUGE_PAGE_BYTES);
    return has_huge_page(fd) ? GA_HUGE_COLLAPSED : GA_HUGE_NONE;
}

/* The mount, the system's setting and the state of its memory decide; so it is tried. */
static enum ga_huge try_out(void)
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return GA_HUGE_NONE;
    enum ga_huge huge = GA_HUGE_NONE;
    void *room = mmap(NULL, 2 * GA_HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room != MAP_FAILED && ftruncate(fd, (off_t)GA_HUGE_PAGE_BYTES) == 0) {
        char *aligned = (char *)room + (GA_HUGE_PAGE_BYTES - (uintptr_t)room % GA_HUGE_PAGE_BYTES) %
                                           GA_HUGE_PAGE_BYTES;
        void *page = mmap(aligned, GA_HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, fd, 0);
        huge = page != MAP_FAILED ? how(fd, page) : GA_HUGE_NONE;
    }
    if (room != MAP_FAILED)
        munmap(room, 2 * GA_HUGE_PAGE_BYTES);
    close(fd);
    return huge;
}

enum ga_huge ga_huge_begin(const struct ga_mapping *heap)
{
    enum ga_huge huge = try_out();
    if (huge == GA_HUGE_NONE || madvise(heap->address, heap->bytes, MADV_HUGEPAGE) < 0) {
        ga_log(GA_LOG_WARNING,
               "no huge pages: /dev/shm gives none, which root may change with 'mount -o "
               "remount,huge=advise /dev/shm', and the kernel makes none (MADV_COLLAPSE)");
        return GA_HUGE_NONE;
    }
    ga_log(GA_LOG_INFO, "huge pages: the heap takes its memory by 2 MiB%s",
           huge == GA_HUGE_COLLAPSED ? ", collapsed (/dev/shm gives none by itself)" : "");
    return huge;
}
