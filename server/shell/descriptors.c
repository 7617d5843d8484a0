#include "server/shell/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/shell/log.h"

/* What a server and its first clients need. With fewer, libuv has none in reserve by which it turns
 * away whom there is no descriptor for, and tries for ever to accept him. */
#define LEAST 32

static int open_so_many(int fds[static LEAST], int *ret_count)
{
    for (*ret_count = 0; *ret_count < LEAST; ++*ret_count) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        fds[*ret_count] = fd;
    }
    return 0;
}

int ga_descriptors_prepare(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    int fds[LEAST];
    int count;
    int r = open_so_many(fds, &count);
    while (count > 0)
        close(fds[--count]);
    if (r < 0 && r != -EMFILE && r != -ENFILE)
        ga_log(GA_LOG_ERROR, "/dev/null cannot be opened: %s", strerror(-r));
    else if (r < 0)
        ga_log(GA_LOG_ERROR,
               "a server needs %d file descriptors and more: %s: raise the limit (ulimit -n)",
               LEAST, strerror(-r));
    return r;
}

uint64_t ga_descriptors_count(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}
