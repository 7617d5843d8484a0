/* CTest kills a test that takes too long with all of its descendants, so the janitor is a child of
 * a child that has ended; and it waits for the end of the test's output, so the janitor has none of
 * its descriptors. Servers of the test end by themselves when it does, and remove what is theirs,
 * or not; for that the janitor has some patience. */
#include "support/janitor.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"

#define ROUNDS   4
#define ROUND_US 500000

/* Remove what is in the folder and has a name of the test's. */
static void remove_in(const char *folder, const char *family, pid_t test)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "%stest-%d-", family, (int)test);
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        ga_test_folder_remove(path);
    }
    if (directory)
        closedir(directory);
}

static void wait_and_remove(pid_t test, int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    while (poll(&end, 1, -1) != 1)
        continue;
    for (int i = 0; i < ROUNDS; i++) {
        remove_in("/dev/shm", "goalloc.", test);
        remove_in(ga_test_folders(), "goalloc-", test);
        usleep(ROUND_US);
    }
}

void ga_janitor_start(void)
{
    static pid_t started;
    pid_t test = getpid();
    if (started == test)
        return;
    started = test;
    int pidfd = (int)syscall(SYS_pidfd_open, test, 0);
    if (pidfd < 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        if (fork() != 0)
            _exit(0);
        setsid(); /* what is sent to the test's group is not for us */
        dup2(pidfd, 0);
        syscall(SYS_close_range, 1u, ~0u, 0u);
        wait_and_remove(test, 0);
        _exit(0);
    }
    close(pidfd);
    if (child > 0)
        waitpid(child, NULL, 0);
}
