/* Locking all memory. The kernel puts all into memory that it locks and that may be written, and so
 * would put the whole reservation there, which is longer than memory. So all is locked as what is
 * there, and what comes (MCL_ONFAULT), and then put into memory but for the reservation: of the
 * heap that is locked which was ever written to, when it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "own_heap.h"

#define EXPORTED __attribute__((visibility("default")))

#define TEXT_BYTES 8192u /* of /proc/self/maps: two of its longest lines */

static int lock_all(int flags)
{
    return (int)syscall(SYS_mlockall, flags);
}

/* Put [from, to) into memory, if there is such. What can have none, as guard pages, is passed over,
 * as mlockall does. */
static void fill(uintptr_t from, uintptr_t to)
{
    if (from < to)
        (void)mlock((const void *)from, to - from);
}

/* The same of what a line such as "55000-56000 rw-p ..." is of, but for the reservation: the kernel
 * may show one mapping of it and of its neighbours. */
static void fill_line(const char *line, struct ga_stop_range reservation)
{
    char *end;
    uintptr_t from = strtoul(line, &end, 16);
    uintptr_t to = strtoul(end + 1, NULL, 16);
    fill(from, to < reservation.start ? to : reservation.start);
    fill(from > reservation.end ? from : reservation.end, to);
}

/* The same of all whole lines. Returns how many bytes they have. */
static size_t fill_lines(char *text, size_t bytes, struct ga_stop_range reservation)
{
    size_t done = 0;
    char *end;
    while ((end = memchr(text + done, '\n', bytes - done)) != NULL) {
        fill_line(text + done, reservation);
        done = (size_t)(end + 1 - text);
    }
    return done;
}

/* Put into memory all that is mapped but the reservation. 0, or -1 and errno. */
static int fill_others(struct ga_stop_range reservation)
{
    char text[TEXT_BYTES];
    size_t bytes = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while ((n = read(fd, text + bytes, sizeof(text) - bytes)) > 0) {
        bytes += (size_t)n;
        size_t done = fill_lines(text, bytes, reservation);
        memmove(text, text + done, bytes - done);
        bytes -= done;
    }
    close(fd);
    return n == 0 ? 0 : -1;
}

EXPORTED int mlockall(int flags)
{
    const bool fills = (flags & MCL_CURRENT) && !(flags & MCL_ONFAULT);
    int saved_errno = errno;
    if (!fills || !ga_own_heap())
        return lock_all(flags);
    if (lock_all(MCL_CURRENT | MCL_ONFAULT) < 0)
        return -1;
    /* For what is mapped from now on, also by who fills. */
    if ((flags & ~MCL_CURRENT) != 0 && lock_all(flags & ~MCL_CURRENT) < 0)
        return -1;
    if (fill_others(ga_own_heap_range()) < 0)
        return -1;
    errno = saved_errno;
    return 0;
}
