#include "shm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, char *buffer, size_t buffer_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do {
        n = read(fd, buffer, buffer_bytes - 1);
    } while (n < 0 && errno == EINTR);
    int r = n < 0 ? -errno : 0;
    close(fd);
    if (r == 0)
        buffer[n] = '\0';
    return r;
}

/* Read /proc/PID/stat: the state is field 3, the start time field 22. The name, field 2, may hold
 * anything, parentheses too: the fields are counted after the last one. */
static int read_stat(uint32_t pid, char *ret_state, uint64_t *ret_ticks)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
    int r = read_file(path, text, sizeof(text));
    if (r < 0)
        return r == -ENOENT || r == -ESRCH ? -ESRCH : -EPROTO;
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return -EPROTO;
    p += 2;
    char state = *p;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return -EPROTO;
        p++;
    }
    char *end;
    uint64_t ticks = strtoull(p, &end, 10);
    if (end == p)
        return -EPROTO;
    *ret_state = state;
    *ret_ticks = ticks;
    return 0;
}

int ga_process_start_time(uint32_t pid, uint64_t *ret_ticks)
{
    char state;
    return read_stat(pid, &state, ret_ticks);
}

bool ga_process_is_alive(uint32_t pid, uint64_t start_time)
{
    char state;
    uint64_t ticks;
    if (pid == 0)
        return false;
    int r = read_stat(pid, &state, &ticks);
    /* What cannot be read is not taken for dead. */
    if (r == -EPROTO)
        return true;
    return r == 0 && ticks == start_time && state != 'Z' && state != 'X';
}

bool ga_process_is_stopped(uint32_t pid)
{
    char state;
    uint64_t ticks;
    return pid != 0 && read_stat(pid, &state, &ticks) == 0 && (state == 'T' || state == 't');
}
