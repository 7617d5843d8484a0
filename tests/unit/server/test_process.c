/* The pidfd of who is at the other end of a socket: as kernels before 6.5 have it, which do not
 * know the option, as those do that have nothing to say of a peer that has ended, and as this one
 * is. */
#include "server/shell/process.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/cunit_main.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int peer_pidfd_error; /* that is given; 0: the kernel is asked */

/* In place of the C library's. */
int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    if (level == SOL_SOCKET && option == SO_PEERPIDFD && peer_pidfd_error) {
        errno = peer_pidfd_error;
        return -1;
    }
    return (int)syscall(SYS_getsockopt, fd, level, option, value, length);
}

/* What is said of a peer with this process's pid, which is there. */
static int ask(int error)
{
    int fds[2];
    int pidfd = -1;
    const struct ga_peer peer = {.pid = (uint32_t)getpid()};
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    peer_pidfd_error = error;
    int r = ga_process_pidfd(fds[0], &peer, &pidfd);
    CU_ASSERT_EQUAL(r == 0, pidfd >= 0);
    if (pidfd >= 0)
        close(pidfd);
    close(fds[0]);
    close(fds[1]);
    return r;
}

static void one_that_is_there(void)
{
    CU_ASSERT_EQUAL(ask(0), 0);
    CU_ASSERT_EQUAL(ask(ENOPROTOOPT), 0);
}

/* Its pid is another's now. */
static void one_that_has_ended(void)
{
    CU_ASSERT_EQUAL(ask(EINVAL), -ESRCH);
    CU_ASSERT_EQUAL(ask(ESRCH), -ESRCH);
    CU_ASSERT_EQUAL(ask(ENODATA), -ESRCH);
}

static void no_descriptor_is_left(void)
{
    CU_ASSERT_EQUAL(ask(EMFILE), -EMFILE);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"one that is there", one_that_is_there},
        {"one that has ended", one_that_has_ended},
        {"no descriptor is left", no_descriptor_is_left},
    };
    return ga_test_main("server.process", tests, sizeof(tests) / sizeof(tests[0]));
}
