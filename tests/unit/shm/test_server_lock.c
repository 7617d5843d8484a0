/* The server's lock beside those that a reader of meta can take. */
#include "shm/server_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cunit_main.h"

static int object;    /* of the server, open for writing */
static int reader_fd; /* the same object, opened again for reading only */

static void open_both(void)
{
    char path[64];
    object = memfd_create("meta", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
    reader_fd = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(object >= 0 && reader_fd >= 0);
}

static void close_both(void)
{
    close(object);
    close(reader_fd);
}

static void test_life(void)
{
    open_both();
    CU_ASSERT_FALSE(ga_server_lock_is_held(reader_fd));
    CU_ASSERT_EQUAL(ga_server_lock_take(object), 0);
    CU_ASSERT(ga_server_lock_is_held(reader_fd));

    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
    int second = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(second >= 0);
    CU_ASSERT_EQUAL(ga_server_lock_take(second), -EAGAIN);
    close(object);
    CU_ASSERT_FALSE(ga_server_lock_is_held(reader_fd));
    CU_ASSERT_EQUAL(ga_server_lock_take(second), 0);
    object = second;
    close_both();
}

static void test_readers(void)
{
    open_both();
    CU_ASSERT_EQUAL(ga_server_lock_take(reader_fd), -EBADF);
    CU_ASSERT_EQUAL(flock(reader_fd, LOCK_EX | LOCK_NB), 0);
    CU_ASSERT_FALSE(ga_server_lock_is_held(object));
    CU_ASSERT_EQUAL(ga_server_lock_take(object), 0);
    close_both();

    /* The one lock of readers that counts keeps a server from its own, and is not taken for it. */
    open_both();
    struct flock read_lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    CU_ASSERT_EQUAL(fcntl(reader_fd, F_OFD_SETLK, &read_lock), 0);
    CU_ASSERT_FALSE(ga_server_lock_is_held(object));
    CU_ASSERT_EQUAL(ga_server_lock_take(object), -EAGAIN);
    close_both();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"taken until it is closed", test_life},
        {"locks of readers", test_readers},
    };
    return ga_test_main("shm.server_lock", tests, sizeof(tests) / sizeof(tests[0]));
}
