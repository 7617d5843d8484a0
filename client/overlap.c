#include "client/overlap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Whether a line such as "550000000000-551000000000 rw-s 00000000 00:17 2 /dev/shm/x" is of a
 * mapping in the bytes from address on. */
static bool overlaps(const char *line, uint64_t address, uint64_t bytes, uint64_t *ret_from)
{
    uint64_t from;
    uint64_t to;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) != 2)
        return false;
    *ret_from = from;
    return from < address + bytes && address < to;
}

/* What stands behind the five fields of a line; empty for anonymous memory. */
static const char *name_of(const char *line)
{
    for (int field = 0; field < 5; field++) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return line;
}

/* The next line, without its end; of a longer one what fits. */
static bool next_line(int fd, char *line, size_t line_bytes)
{
    size_t length = 0;
    char c = '\0';
    ssize_t n;
    while ((n = read(fd, &c, 1)) == 1 || (n < 0 && errno == EINTR)) {
        if (n == 1 && c == '\n')
            break;
        if (n == 1 && length + 1 < line_bytes)
            line[length++] = c;
    }
    line[length] = '\0';
    return length > 0;
}

void ga_overlap_name(uint64_t address, uint64_t bytes, char ret_what[static GA_OVERLAP_BYTES])
{
    char line[256];
    uint64_t from = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    snprintf(ret_what, GA_OVERLAP_BYTES, "something else");
    /* A name says more than an address: where it is a heap, the page of goalloc_own_page is the
     * first there, and has none. */
    for (bool found = false; fd >= 0 && next_line(fd, line, sizeof(line));) {
        if (!overlaps(line, address, bytes, &from))
            continue;
        const char *name = name_of(line);
        if (name[0] != '\0') {
            snprintf(ret_what, GA_OVERLAP_BYTES, "%.128s, at %#" PRIx64, name, from);
            break;
        }
        if (!found)
            snprintf(ret_what, GA_OVERLAP_BYTES, "memory of its own, at %#" PRIx64, from);
        found = true;
    }
    if (fd >= 0)
        close(fd);
}
