/* A file that is not whole, or no snapshot, is refused with what is wrong with it, and nothing of
 * it is left in shared memory. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/snapshot_fixture.h"
#include "shm/page_entry.h"
#include "shm/view.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static char heap[64];
static char file[128]; /* the one that is damaged */
static char path[128];
static struct ga_file good;
static struct ga_snapshot_header header;
static struct ga_run run;

static bool make_good(void)
{
    struct ga_daemon daemon;
    snprintf(heap, sizeof(heap), "%s", ga_daemon_heap("damage"));
    snprintf(file, sizeof(file), "%s", ga_daemon_path("damage.snap"));
    snprintf(path, sizeof(path), "%s", ga_daemon_path("damage"));
    bool made = ga_fixture_serve(&daemon, heap, path, "--ephemeral", NULL) &&
                ga_fixture_in_process(path, ga_fixture_build) &&
                GA_CTL(&run, "--socket", path, "snapshot", file) == 0;
    ga_daemon_end(&daemon, SIGTERM);
    good = ga_file_load(file);
    if (made && good.nbytes > sizeof(header))
        memcpy(&header, good.bytes, sizeof(header));
    return made && good.nbytes > sizeof(header);
}

static struct ga_file copy_of_good(void)
{
    struct ga_file copy = {.bytes = malloc(good.nbytes + 4096), .nbytes = good.nbytes};
    memcpy(copy.bytes, good.bytes, good.nbytes);
    return copy;
}

static void refused(const struct ga_file *bad, const char *why)
{
    CU_ASSERT(ga_file_save(file, bad));
    CU_ASSERT(ga_fixture_refuses(file, heap, 7, why));
}

/* ---- a byte is another ---- */

static void flipped(uint64_t offset, const char *why)
{
    struct ga_file bad = copy_of_good();
    bad.bytes[offset] = (char)(bad.bytes[offset] ^ 0x20);
    refused(&bad, why);
    ga_file_fini(&bad);
}

static void test_flipped(void)
{
    uint64_t data = ga_snapshot_data_offset(&header);
    uint64_t sums = ga_snapshot_sums_offset(&header);
    uint64_t trailer = ga_snapshot_trailer_offset(&header);
    CU_ASSERT_FATAL(header.data_bytes > 2 * GA_SNAPSHOT_BLOCK_BYTES);
    flipped(0, "it is no snapshot of a goalloc heap");
    static const size_t in_header[] = {8, 16, 24, 60, 88, 200, 4000, 4088, 4095};
    for (size_t i = 0; i < COUNT(in_header); i++)
        flipped(in_header[i], "its header is damaged: the check sum is wrong");
    flipped(GA_SNAPSHOT_HEADER_BYTES, "its table of extents is damaged: the check sum is wrong");
    flipped(data - 1, "its table of extents is damaged: the check sum is wrong");
    flipped(data, "its data is damaged: the check sum of block 1 of ");
    flipped(data + GA_SNAPSHOT_BLOCK_BYTES, "its data is damaged: the check sum of block 2 of ");
    flipped(sums - 1, "its data is damaged: the check sum of block ");
    flipped(sums, "its table of check sums is damaged");
    flipped(trailer - 1, "its table of check sums is damaged");
    for (uint64_t i = trailer; i < good.nbytes; i += 13)
        flipped(i, "its trailer is damaged: the check sum is wrong");
    uint64_t state = ga_test_seed();
    for (int i = 0; i < 10; i++)
        flipped(data + ga_test_random(&state) % header.data_bytes, "its data is damaged");
}

/* ---- some of it is missing, or there is more ---- */

static void test_cut(void)
{
    struct ga_file bad = copy_of_good();
    memset(bad.bytes + good.nbytes, 0, 4096);
    bad.nbytes = good.nbytes + 1;
    refused(&bad, "it has ");
    bad.nbytes = 0;
    refused(&bad, "it is no snapshot of a goalloc heap");
    bad.nbytes = 7;
    refused(&bad, "it is no snapshot of a goalloc heap");
    static const size_t less_than_a_header[] = {8, 100, 4095};
    for (size_t i = 0; i < COUNT(less_than_a_header); i++) {
        bad.nbytes = less_than_a_header[i];
        refused(&bad, "it has been cut short: not even its header is whole");
    }
    uint64_t state = ga_test_seed();
    const uint64_t ends[] = {4096,
                             ga_snapshot_data_offset(&header),
                             ga_snapshot_sums_offset(&header),
                             ga_snapshot_trailer_offset(&header),
                             good.nbytes - 1,
                             4096 + ga_test_random(&state) % (good.nbytes - 4096),
                             4096 + ga_test_random(&state) % (good.nbytes - 4096)};
    for (size_t i = 0; i < COUNT(ends); i++) {
        bad.nbytes = ends[i];
        refused(&bad, "it has been cut short: ");
    }
    ga_file_fini(&bad);
}

/* ---- what is no snapshot, or not one for here ---- */

static void test_foreign(void)
{
    static char text[] = "Dear server, I am a text of more than eight bytes.\n";
    struct ga_file foreign = {.bytes = text, .nbytes = sizeof(text) - 1};
    refused(&foreign, "it is no snapshot of a goalloc heap");
    CU_ASSERT(ga_fixture_refuses("/no/such/file", heap, 5, "No such file or directory"));
    CU_ASSERT(ga_fixture_refuses("/tmp", heap, 7, "it is no regular file"));
    unlink(file);
    CU_ASSERT_EQUAL(mkfifo(file, 0600), 0);
    CU_ASSERT(ga_fixture_refuses(file, heap, 7, "it is no regular file"));
    unlink(file);
    struct ga_file bad = copy_of_good();
    for (int i = 0; i < 8; i++)
        bad.bytes[i] = good.bytes[7 - i];
    refused(&bad, "it is of a machine of another byte order");
    ga_file_fini(&bad);
}

/* The header's word at offset is number, and the check sums are right. */
static void with_header(size_t offset, uint64_t number, size_t nbytes, const char *why)
{
    struct ga_file bad = copy_of_good();
    memcpy(bad.bytes + offset, &number, nbytes);
    ga_file_seal(&bad);
    refused(&bad, why);
    ga_file_fini(&bad);
}

static void test_versions(void)
{
    with_header(8, 9, 4, "its format has version 9, known here is 1");
    with_header(12, 77, 4, "the layout of its heap has version 77, known here is ");
    with_header(offsetof(struct ga_snapshot_header, base), 0x1000, 8,
                "its header contradicts itself");
    with_header(offsetof(struct ga_snapshot_header, reserve_bytes), UINT64_C(1) << 62, 8,
                "its header contradicts itself");
    with_header(offsetof(struct ga_snapshot_header, name), '/', 1, "its header contradicts itself");
    with_header(offsetof(struct ga_snapshot_header, committed_npages), header.committed_npages + 8,
                8, "its heap's header contradicts that of the file");
}

static void with_extent(uint64_t index, size_t offset, uint64_t number, size_t nbytes,
                        const char *why)
{
    struct ga_file bad = copy_of_good();
    memcpy(bad.bytes + GA_SNAPSHOT_HEADER_BYTES + index * sizeof(struct ga_snapshot_extent) +
               offset,
           &number, nbytes);
    ga_file_seal(&bad);
    refused(&bad, why);
    ga_file_fini(&bad);
}

/* Made by somebody who knows the format: each extent is where it can be, or none is used. */
static void test_forged(void)
{
    size_t object = offsetof(struct ga_snapshot_extent, object);
    size_t offset = offsetof(struct ga_snapshot_extent, offset);
    size_t bytes = offsetof(struct ga_snapshot_extent, bytes);
    uint64_t last = header.nextents - 1;
    with_extent(last, object, 3, 4, "its extent ");
    with_extent(last, object, 0, 4, "its extent ");
    with_extent(last, offset, UINT64_MAX - 4095, 8, "its extent ");
    with_extent(last, offset, header.committed_npages * GA_PAGE_SIZE, 8, "its extent ");
    with_extent(last, offset, 0, 8, "its extent ");
    with_extent(last, bytes, UINT64_MAX - 4095, 8, "its extent ");
    with_extent(last, bytes, 4097, 8, "its extent ");
    with_extent(0, offset, 4096, 8, "its extent");
    with_extent(0, bytes, 0, 8, "its extent 0 lies where none can");

    /* A page table that contradicts itself is found by the takeover. */
    struct ga_file bad = copy_of_good();
    struct ga_meta_header geometry = {0};
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&geometry, header.reserve_bytes, &counts);
    uint64_t entry = ga_entry_make(8, 60000, 0, GA_ENTRY_INUSE | GA_ENTRY_FIRST);
    size_t place = ga_file_place(&bad, GA_OBJECT_META, geometry.page_table_offset + 8);
    CU_ASSERT_NOT_EQUAL_FATAL(place, 0);
    memcpy(bad.bytes + place, &entry, sizeof(entry));
    ga_file_seal(&bad);
    refused(&bad, "its page table contradicts itself: page 1 ");
    ga_file_fini(&bad);
}

/* ---- where the heap cannot be ---- */

static void test_wishes(void)
{
    struct ga_daemon daemon;
    char base[32]; /* the heap lies elsewhere, wherever that is */
    snprintf(base, sizeof(base), "0x%llx", (unsigned long long)(header.base + GA_ARENA_SIZE));
    const char *const options[][2] = {
        {"--base", base}, {"--reserve", "128M"}, {"--limit", "1M"}, {"--limit", "1G"}};
    static const char *const whys[] = {"it lies at 0x", "its reserve is 64 MiB", "it has ",
                                       "its reserve is 64 MiB, less than --limit"};
    CU_ASSERT(ga_file_save(file, &good));
    for (size_t i = 0; i < COUNT(options); i++) {
        const char *arguments[] = {"--restore",   file,          "--socket", path,
                                   options[i][0], options[i][1], NULL};
        CU_ASSERT_FALSE(ga_daemon_start(&daemon, 0, arguments));
        CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 2);
        CU_ASSERT(ga_daemon_said(&daemon, "cannot be restored: "));
        CU_ASSERT(ga_daemon_said(&daemon, whys[i]));
        CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
    }
}

/* Leave room for half of a snapshot in /dev/shm. */
static bool fill_up(void)
{
    struct statvfs fs;
    int fd = open("/dev/shm/filler", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool full = fd >= 0 && fstatvfs(fd, &fs) == 0 &&
                posix_fallocate(fd, 0, (off_t)(fs.f_bavail * fs.f_frsize - good.nbytes / 2)) == 0;
    if (fd >= 0)
        close(fd);
    return full;
}

/* In a child: a /dev/shm that is too small for the heap; then one too small for the file. */
static bool too_small(void)
{
    struct ga_daemon daemon;
    if (ga_private_shm_enter("1m") < 0)
        return true;
    bool refuses = ga_fixture_refuses(file, heap, 10, "no memory is left in /dev/shm");
    return refuses && ga_private_shm_enter("64m") == 0 &&
           ga_fixture_restore(&daemon, file, heap, path) && fill_up() &&
           GA_CTL(&run, "--socket", path, "snapshot", "/dev/shm/full") == 1 &&
           strstr(run.err, "/dev/shm/full: cannot be written: No space left on device") &&
           access("/dev/shm/full", F_OK) < 0 && unlink("/dev/shm/filler") == 0 &&
           ga_fixture_in_process(path, ga_fixture_verify) && ga_daemon_end(&daemon, SIGTERM) == 0;
}

static void test_full(void)
{
    CU_ASSERT(ga_file_save(file, &good));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        bool done = too_small();
        if (!done)
            printf("code %d: %s", run.code, run.err ? run.err : "");
        fflush(stdout);
        _exit(done ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a byte is another", test_flipped},
        {"cut short, or longer", test_cut},
        {"no snapshot", test_foreign},
        {"versions, and numbers that cannot be", test_versions},
        {"forged extents and tables", test_forged},
        {"options that do not fit", test_wishes},
        {"no room", test_full},
    };
    int code = make_good() ? ga_test_main("integration.snapshot_damage", tests, COUNT(tests)) : 1;
    ga_file_fini(&good);
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
