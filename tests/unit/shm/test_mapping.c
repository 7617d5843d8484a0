/* Real objects in the shared memory name space, under a name of this run, removed however the test
 * ends. */
#include "shm/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define BYTES    (UINT64_C(1) << 20)
#define ADDRESS  (GA_WINDOW_LOW + 3 * GA_WINDOW_SIZE)

static char name[32];

static void remove_all(void)
{
    for (int object = 0; object < GA_OBJECT_COUNT; object++)
        ga_object_unlink(name, (enum ga_object)object);
}

static void remove_and_die(int number)
{
    remove_all();
    signal(number, SIG_DFL);
    raise(number);
}

static bool exists(enum ga_object object, struct stat *ret)
{
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, object, path);
    int fd = shm_open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    CU_ASSERT_EQUAL(fstat(fd, ret), 0);
    close(fd);
    return true;
}

static bool is_none(const struct ga_mapping *m)
{
    return m->fd == -1 && m->address == NULL && m->bytes == 0;
}

static void names(void)
{
    char longest[GA_HEAP_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[GA_HEAP_NAME_MAX] = 0;
    const char *const good[] = {"a", "Z", "9", "-", "_", "a.b", "x-1_Y.z", "a..b", longest};
    for (size_t i = 0; i < COUNT(good); i++)
        CU_ASSERT(ga_heap_name_is_valid(good[i]));
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(longest, GA_OBJECT_META, path);
    CU_ASSERT_EQUAL(strlen(path), 9 + GA_HEAP_NAME_MAX + 5);

    longest[GA_HEAP_NAME_MAX] = 'x';
    char too_long[GA_HEAP_NAME_MAX + 2];
    memcpy(too_long, longest, sizeof(too_long) - 1);
    too_long[GA_HEAP_NAME_MAX + 1] = 0;
    const char *const bad[] = {"",    ".",   "..",   ".a",       "a/b",   "/a",
                               "a b", "a\n", "a\\b", "\xc3\xa4", too_long};
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_FALSE(ga_heap_name_is_valid(bad[i]));

    ga_object_name("h.1", GA_OBJECT_META, path);
    CU_ASSERT_STRING_EQUAL(path, "/goalloc.h.1.meta");
    ga_object_name("h.1", GA_OBJECT_BITS, path);
    CU_ASSERT_STRING_EQUAL(path, "/goalloc.h.1.bits");
    ga_object_name("h.1", GA_OBJECT_HEAP, path);
    CU_ASSERT_STRING_EQUAL(path, "/goalloc.h.1.heap");
}

/* Made by one mapping, seen through another; of the mode that was asked, whatever the umask; gone
 * after its name is removed, but still mapped. */
static void create_open_unlink(void)
{
    struct ga_mapping made = GA_MAPPING_NONE;
    mode_t mask = umask(077);
    CU_ASSERT_EQUAL_FATAL(ga_mapping_create(name, GA_OBJECT_BITS, 0664, 0, BYTES, &made), 0);
    umask(mask);
    CU_ASSERT_EQUAL(made.bytes, BYTES);
    struct stat st;
    CU_ASSERT_FATAL(exists(GA_OBJECT_BITS, &st));
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0664);
    CU_ASSERT_EQUAL(st.st_size, 0);
    CU_ASSERT_EQUAL(fcntl(made.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);

    CU_ASSERT_EQUAL_FATAL(ftruncate(made.fd, BYTES), 0);
    memcpy(made.address, "hello", 6);
    struct ga_mapping other = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_open(name, GA_OBJECT_BITS, false, getuid(), 0, 0, &other), 0);
    CU_ASSERT_EQUAL(other.bytes, BYTES);
    CU_ASSERT_PTR_NOT_EQUAL(other.address, made.address);
    CU_ASSERT_STRING_EQUAL(other.address, "hello");
    memcpy(other.address, "world", 6);
    CU_ASSERT_STRING_EQUAL(made.address, "world");

    CU_ASSERT_EQUAL(ga_object_unlink(name, GA_OBJECT_BITS), 0);
    CU_ASSERT_EQUAL(ga_object_unlink(name, GA_OBJECT_BITS), -ENOENT);
    CU_ASSERT_FALSE(exists(GA_OBJECT_BITS, &st));
    CU_ASSERT_STRING_EQUAL(made.address, "world");

    ga_mapping_close(&other);
    CU_ASSERT(is_none(&other));
    ga_mapping_close(&other); /* nothing more happens */
    ga_mapping_close(&made);
    CU_ASSERT(is_none(&made));
}

/* An object that is there is never taken over by making, and stays as it is. */
static void made_once(void)
{
    struct ga_mapping made = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_create(name, GA_OBJECT_META, 0600, 0, BYTES, &made), 0);
    CU_ASSERT_EQUAL(ftruncate(made.fd, BYTES), 0);
    struct ga_mapping again = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL(ga_mapping_create(name, GA_OBJECT_META, 0600, 0, BYTES, &again), -EEXIST);
    CU_ASSERT(is_none(&again));
    struct stat st;
    CU_ASSERT_FATAL(exists(GA_OBJECT_META, &st));
    CU_ASSERT_EQUAL(st.st_size, (off_t)BYTES);
    ga_mapping_close(&made);
    remove_all();
}

static void nothing_there(void)
{
    struct ga_mapping m = GA_MAPPING_NONE;
    for (int object = 0; object < GA_OBJECT_COUNT; object++) {
        CU_ASSERT_EQUAL(ga_mapping_open(name, (enum ga_object)object, true, -1, 0, BYTES, &m),
                        -ENOENT);
        CU_ASSERT_EQUAL(ga_object_unlink(name, (enum ga_object)object), -ENOENT);
    }
    CU_ASSERT(is_none(&m));
}

static void wrong_owner(void)
{
    struct ga_mapping made = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_create(name, GA_OBJECT_BITS, 0600, 0, BYTES, &made), 0);
    CU_ASSERT_EQUAL(ftruncate(made.fd, BYTES), 0);
    struct ga_mapping m = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL(
        ga_mapping_open(name, GA_OBJECT_BITS, false, (int64_t)getuid() + 1, 0, BYTES, &m), -EPERM);
    CU_ASSERT(is_none(&m));
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_BITS, false, -1, 0, BYTES, &m), 0);
    ga_mapping_close(&m);
    ga_mapping_close(&made);
    remove_all();
}

/* Whether a mapping's pages may be written, as the kernel tells. */
static bool is_writable(const void *address)
{
    FILE *f = fopen("/proc/self/maps", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    char line[512];
    bool writable = false;
    while (fgets(line, sizeof(line), f)) {
        unsigned long from;
        unsigned long to;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && from <= (uintptr_t)address &&
            (uintptr_t)address < to)
            writable = rights[1] == 'w';
    }
    fclose(f);
    return writable;
}

/* Meta is never mapped writable by who opens it, the others only where nobody said read-only; and
 * the descriptor cannot be used to get around it. */
static void rights(void)
{
    for (int object = 0; object < GA_OBJECT_COUNT; object++) {
        struct ga_mapping made = GA_MAPPING_NONE;
        CU_ASSERT_EQUAL_FATAL(
            ga_mapping_create(name, (enum ga_object)object, 0600, 0, BYTES, &made), 0);
        CU_ASSERT(is_writable(made.address));
        CU_ASSERT_EQUAL(ftruncate(made.fd, BYTES), 0);
        for (int read_only = 0; read_only < 2; read_only++) {
            struct ga_mapping m = GA_MAPPING_NONE;
            CU_ASSERT_EQUAL_FATAL(
                ga_mapping_open(name, (enum ga_object)object, read_only, -1, 0, BYTES, &m), 0);
            bool writable = !read_only && object != GA_OBJECT_META;
            CU_ASSERT_EQUAL(is_writable(m.address), writable);
            CU_ASSERT_EQUAL(fcntl(m.fd, F_GETFL) & O_ACCMODE, writable ? O_RDWR : O_RDONLY);
            ga_mapping_close(&m);
        }
        ga_mapping_close(&made);
    }
    remove_all();
}

/* Meta and bits have their full size from the beginning; an object that is shorter is not one. The
 * heap is mapped past its end. */
static void too_short(void)
{
    struct ga_mapping made[GA_OBJECT_COUNT];
    struct ga_mapping m = GA_MAPPING_NONE;
    for (int object = 0; object < GA_OBJECT_COUNT; object++)
        CU_ASSERT_EQUAL_FATAL(
            ga_mapping_create(name, (enum ga_object)object, 0600, 0, BYTES, &made[object]), 0);

    off_t header = sizeof(struct ga_meta_header);
    CU_ASSERT_EQUAL(ftruncate(made[GA_OBJECT_META].fd, header - 1), 0);
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_META, true, -1, 0, 0, &m), -EPROTO);
    CU_ASSERT_EQUAL(ftruncate(made[GA_OBJECT_META].fd, header), 0);
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_META, true, -1, 0, BYTES, &m), -EPROTO);
    CU_ASSERT(is_none(&m));
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_META, true, -1, 0, 0, &m), 0);
    CU_ASSERT_EQUAL(m.bytes, (uint64_t)header);
    ga_mapping_close(&m);

    CU_ASSERT_EQUAL(ftruncate(made[GA_OBJECT_BITS].fd, BYTES - 1), 0);
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_BITS, false, -1, 0, BYTES, &m), -EPROTO);
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_HEAP, false, -1, 0, BYTES, &m), 0);
    CU_ASSERT_EQUAL(m.bytes, BYTES);
    ga_mapping_close(&m);
    for (int object = 0; object < GA_OBJECT_COUNT; object++)
        ga_mapping_close(&made[object]);
    remove_all();
}

/* Bits with nothing in it are smaller than their header: the same answer as for meta. */
static void empty_bits(void)
{
    struct ga_mapping made = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_create(name, GA_OBJECT_BITS, 0600, 0, BYTES, &made), 0);
    struct ga_mapping m = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_BITS, false, -1, 0, 0, &m), -EPROTO);
    CU_ASSERT(is_none(&m));
    ga_mapping_close(&made);
    remove_all();
}

static void at_its_address(void)
{
    CU_ASSERT(ga_window_is_free(ADDRESS, BYTES));
    struct ga_mapping made = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_create(name, GA_OBJECT_HEAP, 0600, ADDRESS, BYTES, &made), 0);
    CU_ASSERT_EQUAL((uintptr_t)made.address, ADDRESS);
    CU_ASSERT_FALSE(ga_window_is_free(ADDRESS, BYTES));
    CU_ASSERT_FALSE(ga_window_is_free(ADDRESS - GA_PAGE_SIZE, 2 * GA_PAGE_SIZE));
    CU_ASSERT(ga_window_is_free(ADDRESS + BYTES, BYTES));

    struct ga_mapping m = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_HEAP, false, -1, ADDRESS, BYTES, &m),
                    -EADDRINUSE);
    /* One page in the way is enough. */
    CU_ASSERT_EQUAL(ga_mapping_open(name, GA_OBJECT_HEAP, false, -1,
                                    ADDRESS + BYTES - GA_OS_PAGE_SIZE, BYTES, &m),
                    -EADDRINUSE);
    CU_ASSERT(is_none(&m));
    uint64_t next = ADDRESS + BYTES;
    CU_ASSERT_EQUAL_FATAL(ga_mapping_open(name, GA_OBJECT_HEAP, false, -1, next, BYTES, &m), 0);
    CU_ASSERT_EQUAL((uintptr_t)m.address, next);
    ga_mapping_close(&m);
    ga_mapping_close(&made);
    CU_ASSERT(ga_window_is_free(ADDRESS, BYTES));
    remove_all();
}

/* What could not be mapped is not left behind. */
static void failed_making_leaves_nothing(void)
{
    void *wanted = (void *)(uintptr_t)ADDRESS;
    void *taken = mmap(wanted, GA_OS_PAGE_SIZE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CU_ASSERT_PTR_EQUAL_FATAL(taken, wanted);
    struct ga_mapping m = GA_MAPPING_NONE;
    CU_ASSERT_EQUAL(ga_mapping_create(name, GA_OBJECT_HEAP, 0600, ADDRESS, BYTES, &m), -EADDRINUSE);
    CU_ASSERT(is_none(&m));
    struct stat st;
    CU_ASSERT_FALSE(exists(GA_OBJECT_HEAP, &st));
    munmap(taken, GA_OS_PAGE_SIZE);
}

int main(void)
{
    snprintf(name, sizeof(name), "test-%d-mapping", getpid());
    atexit(remove_all);
    signal(SIGSEGV, remove_and_die);
    signal(SIGABRT, remove_and_die);
    signal(SIGTERM, remove_and_die);
    signal(SIGINT, remove_and_die);
    static const struct ga_test tests[] = {
        {"names", names},
        {"create, open, unlink", create_open_unlink},
        {"made once", made_once},
        {"nothing there", nothing_there},
        {"wrong owner", wrong_owner},
        {"rights", rights},
        {"too short", too_short},
        {"empty bits", empty_bits},
        {"at its address", at_its_address},
        {"failed making leaves nothing", failed_making_leaves_nothing},
    };
    return ga_test_main("shm.mapping", tests, COUNT(tests));
}
