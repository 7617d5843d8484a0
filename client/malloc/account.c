/* What is left when all of the program's exit handlers and destructors have run: our own handler is
 * the last.
 *
 * A copy of the process gives the account, made as fork makes one: nothing moves in it, and it may
 * give up what its threads have, so that all objects are those of who is gone, and a collection
 * that only reports tells which of them nothing reaches. Roots are all words of the copy's memory.
 */
#include "account.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account_file.h"
#include "client/managed_scan.h"
#include "own_heap.h"
#include "proto/own_core.h"

#define PATH_BYTES (PATH_MAX + 32)

static char *folder; /* NULL = no account is wanted */
static pid_t began;  /* the process that has said so */

/* ---- files ---- */

static int open_new(pid_t pid, const char *what)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%d.%s", folder, (int)pid, what);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool write_all(int fd, const char *from, uint64_t bytes, uint64_t offset)
{
    while (bytes > 0) {
        ssize_t n = pwrite(fd, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return true;
}

static bool write_file(pid_t pid, const char *what, const void *from, uint64_t bytes)
{
    int fd = open_new(pid, what);
    bool good = fd >= 0 && write_all(fd, from, bytes, 0);
    if (fd >= 0)
        close(fd);
    return good;
}

/* Those OS pages of memory that were ever touched, at their places; the file is bytes long. */
static bool write_touched(int fd, int pagemap, const char *memory, uint64_t bytes)
{
    uint64_t words[512];
    const uint64_t npages = bytes / GA_OS_PAGE_SIZE;
    if (ftruncate(fd, (off_t)bytes) < 0)
        return false;
    for (uint64_t page = 0; page < npages;) {
        uint64_t n = npages - page < 512 ? npages - page : 512;
        off_t where = (off_t)(((uintptr_t)memory / GA_OS_PAGE_SIZE + page) * sizeof(words[0]));
        if (pread(pagemap, words, n * sizeof(words[0]), where) != (ssize_t)(n * sizeof(words[0])))
            return false;
        for (uint64_t i = 0; i < n; i++, page++)
            if (words[i] >> 62 != 0 && /* present or swapped */
                !write_all(fd, memory + page * GA_OS_PAGE_SIZE, GA_OS_PAGE_SIZE,
                           page * GA_OS_PAGE_SIZE))
                return false;
    }
    return true;
}

static bool write_memory(pid_t pid, const char *what, const void *memory, uint64_t bytes)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int fd = open_new(pid, what);
    bytes = (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
    bool good = pagemap >= 0 && fd >= 0 && write_touched(fd, pagemap, memory, bytes);
    if (fd >= 0)
        close(fd);
    if (pagemap >= 0)
        close(pagemap);
    return good;
}

/* ---- what is lost ---- */

static int add_roots(const uint64_t *offsets, uint32_t n, void *data)
{
    (void)data;
    return ga_own_core_add_roots(offsets, n);
}

static int scan_for_roots(void)
{
    char why[GA_STOP_WHY_BYTES];
    uint64_t bytes;
    struct ga_scan *scan = ga_scan_new();
    if (!scan)
        return -ENOMEM;
    struct ga_stop_range own = ga_own_heap_range();
    ga_scan_look_alone(scan, ga_own_heap(), (uintptr_t)__builtin_frame_address(0), own);
    int r = ga_scan_run(scan, add_roots, NULL, why, &bytes);
    ga_scan_free(scan);
    return r;
}

/* Everybody is gone: what is in use then, and what of it nothing reaches. */
static int collect(struct ga_exit_account *account)
{
    struct ga_own_leavings leavings = {0};
    int r = ga_own_core_begin_leavings();
    if (r == 0)
        r = scan_for_roots();
    if (r == 0)
        r = ga_own_core_end_leavings(&leavings);
    if (r < 0)
        return r;
    account->collection = leavings.collection;
    account->left = (struct ga_exit_count){leavings.left.objects, leavings.left.bytes};
    account->lost = (struct ga_exit_count){leavings.lost.objects, leavings.lost.bytes};
    for (uint32_t c = 0; c < GA_OWN_CLASSES; c++)
        account->by_class[c] = (struct ga_exit_count){leavings.lost_by_class[c].objects,
                                                      leavings.lost_by_class[c].bytes};
    return 0;
}

/* In the copy of process pid. */
static bool give(pid_t pid)
{
    struct ga_exit_account account = {.magic = GA_ACCOUNT_MAGIC, .pid = (uint32_t)pid};
    const struct ga_view *view = &ga_own_heap()->view;
    snprintf(account.name, sizeof(account.name), "%s", program_invocation_short_name);
    if (collect(&account) < 0)
        return false;
    if (account.left.objects > 0 &&
        (!write_memory(pid, "meta", view->meta, view->meta->meta_bytes) ||
         !write_memory(pid, "bits", ga_own_heap_bits(), view->meta->bits_bytes)))
        return false;
    return write_file(pid, "account", &account, sizeof(account));
}

/* ---- when ---- */

static void at_exit(int status, void *data)
{
    (void)status;
    (void)data;
    pid_t pid = getpid();
    sigset_t all;
    sigset_t before;
    /* One that has not asked for memory since it was forked has nothing of its own to tell of. */
    if (!folder || began != pid)
        return;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    ga_own_fork_before();
    pid_t copy = _Fork(); /* the program's handlers of fork may rely on what has been torn down */
    if (copy == 0) {
        ga_own_fork_in_child();
        _exit(give(pid) ? 0 : 1);
    }
    ga_own_fork_after();
    while (copy > 0 && waitpid(copy, NULL, 0) < 0 && errno == EINTR)
        continue;
    sigaddset(&before, SIGCHLD); /* which is not about a child of the program's */
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Before the C library notes that destructors are to run at the end, which it does when all
 * libraries have been set up: what was noted first is called last. */
static __attribute__((constructor)) void note_end(void)
{
    (void)on_exit(at_exit, NULL);
}

bool ga_account_begin(void)
{
    static bool has_looked;
    if (!has_looked) {
        const char *value = secure_getenv(GA_ACCOUNT_VARIABLE);
        if (value && value[0] == '/')
            folder = strdup(value); /* the program may change its environment */
        has_looked = true;
    }
    if (!folder)
        return false;
    began = getpid();
    char path[PATH_BYTES]; /* of who was this process before an exec */
    snprintf(path, sizeof(path), "%s/%d.account", folder, (int)began);
    unlink(path);
    const char *name = program_invocation_short_name;
    (void)write_file(began, "began", name, strlen(name));
    return true;
}
