/* The rename is the commit. Before it the data is flushed, so that no crash of the machine leaves
 * the name with half of it; after it the folder, so that the name stays. */
#include "client/ctl/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define NSIGNALS (sizeof(ending_signals) / sizeof(ending_signals[0]))

/* What the handler removes; empty: nothing. Written with the signals blocked. */
static char to_remove[PATH_MAX];

static void on_signal(int number)
{
    if (to_remove[0])
        unlink(to_remove);
    signal(number, SIG_DFL);
    raise(number);
}

/* The signals are blocked, so that the handler sees the whole path, and none between a change of
 * the file and that of the path. */
static void block(sigset_t *ret_old)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < NSIGNALS; i++)
        sigaddset(&set, ending_signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, ret_old);
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction old;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < NSIGNALS; i++)
        if (sigaction(ending_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(ending_signals[i], &action, NULL);
}

static int fail(const char *path, const char *what)
{
    int err = errno;
    fprintf(stderr, "goallocctl: %s: %s: %s\n", path, what, strerror(err));
    return -err;
}

/* What is there already must be a file, or its replacement would be no replacement. */
static int check_target(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : fail(path, "cannot be looked at");
    if (S_ISREG(st.st_mode))
        return 0;
    fprintf(stderr, "goallocctl: %s: is there already and is no file\n", path);
    return -EEXIST;
}

int ga_new_file_open(const char *path, struct ga_new_file *ret)
{
    int r = check_target(path);
    if (r < 0)
        return r;
    ret->path = path;
    int n = snprintf(ret->temporary, sizeof(ret->temporary), "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(ret->temporary)) {
        fprintf(stderr, "goallocctl: %s: the name is too long\n", path);
        return -ENAMETOOLONG;
    }
    handle_signals();
    sigset_t old;
    block(&old);
    ret->fd = open(ret->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (ret->fd < 0)
        r = fail(ret->temporary, "cannot be made");
    else
        memcpy(to_remove, ret->temporary, (size_t)n + 1);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* Some file systems know no flush of a folder, and need none. */
static int flush_folder(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 || (fsync(fd) < 0 && errno != EINVAL)
                ? fail(path, "is written, but its folder cannot be flushed")
                : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static int name_it(struct ga_new_file *file)
{
    sigset_t old;
    block(&old);
    int r = rename(file->temporary, file->path) < 0 ? fail(file->path, "cannot be replaced") : 0;
    if (r == 0)
        to_remove[0] = '\0';
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

int ga_new_file_flush(const struct ga_new_file *file)
{
    return fsync(file->fd) < 0 ? -errno : 0;
}

int ga_new_file_commit(struct ga_new_file *file)
{
    int r = name_it(file);
    if (r < 0) {
        ga_new_file_abandon(file);
        return r;
    }
    close(file->fd);
    file->fd = -1;
    return flush_folder(file->path);
}

void ga_new_file_abandon(struct ga_new_file *file)
{
    if (file->fd < 0)
        return;
    sigset_t old;
    block(&old);
    unlink(file->temporary);
    to_remove[0] = '\0';
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(file->fd);
    file->fd = -1;
}
