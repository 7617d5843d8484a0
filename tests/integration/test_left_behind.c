/* What a test leaves in shared memory and in folders that is killed goes by itself, and nobody
 * else's. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cunit_main.h"
#include "support/folder.h"
#include "support/janitor.h"
#include "support/server_fixture.h"

#define TRIES     2000
#define WAIT_US   10000
#define SKIPPED   77
#define NAME_SIZE 64

static bool make(pid_t pid, const char *rest)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "/goalloc.test-%d%s", (int)pid, rest);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Whether anything in the folder has a name that begins so. */
static bool is_any(const char *folder, const char *family, pid_t pid, const char *rest)
{
    char prefix[NAME_SIZE];
    bool any = false;
    snprintf(prefix, sizeof(prefix), "%stest-%d%s", family, (int)pid, rest);
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        any = any || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (directory)
        closedir(directory);
    return any;
}

static bool has_objects(pid_t pid)
{
    return is_any("/dev/shm", "goalloc.", pid, "-");
}

static bool has_folders(pid_t pid)
{
    return is_any(ga_test_folders(), "goalloc-", pid, "-");
}

static void see_nothing_left(pid_t pid)
{
    for (int i = 0; i < TRIES && (has_objects(pid) || has_folders(pid)); i++)
        usleep(WAIT_US);
    CU_ASSERT_FALSE(has_objects(pid));
    CU_ASSERT_FALSE(has_folders(pid));
}

static void await_killed(pid_t child)
{
    int status;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_killed(void)
{
    char others[NAME_SIZE];
    pid_t child = fork();
    if (child == 0) {
        char folder[GA_TEST_FOLDER_BYTES];
        ga_janitor_start();
        bool made = make(getpid(), "-x.meta") && make(getpid(), "-x.heap") &&
                    make(getpid(), "0-x.meta") && /* as if of a process with a longer number */
                    ga_test_folder_make(folder);
        raise(made ? SIGKILL : SIGTERM);
    }
    await_killed(child);
    see_nothing_left(child);
    CU_ASSERT(is_any("/dev/shm", "goalloc.", child, "0-x.meta"));
    snprintf(others, sizeof(others), "/goalloc.test-%d0-x.meta", (int)child);
    shm_unlink(others);
}

/* A server that is killed leaves its heap, and a socket in the folder. */
static void test_child_with_server(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct ga_test_server server;
        bool made = ga_test_server_start("64M", &server);
        if (made)
            ga_test_server_kill(&server);
        raise(made && has_objects(getpid()) && has_folders(getpid()) ? SIGKILL : SIGTERM);
    }
    await_killed(child);
    see_nothing_left(child);
}

/* ---- programs ---- */

static pid_t run(const char *const *words)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    execv(words[0], (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Who has a heap: the program, or one of its children; 0 = nobody. */
static pid_t find_owner(pid_t program)
{
    char path[NAME_SIZE];
    pid_t owner = has_objects(program) ? program : 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)program, (int)program);
    FILE *children = fopen(path, "re");
    char word[16];
    while (children && !owner && fscanf(children, "%15s", word) == 1)
        if (has_objects((pid_t)strtol(word, NULL, 10)))
            owner = (pid_t)strtol(word, NULL, 10);
    if (children)
        fclose(children);
    return owner;
}

/* Kill who has the heap as soon as there is one. */
static void see_killed(const char *const *words)
{
    int status = 0;
    pid_t owner = 0;
    pid_t program = run(words);
    CU_ASSERT_FATAL(program > 0);
    for (int i = 0; i < TRIES && !owner && waitpid(program, &status, WNOHANG) == 0; i++) {
        usleep(WAIT_US);
        owner = find_owner(program);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return;
    CU_ASSERT_FATAL(owner > 0);
    kill(owner, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(program, &status, 0), program);
    CU_ASSERT(status != 0);
    see_nothing_left(owner);
}

static void test_siege(void)
{
    const char *const words[] = {STORM_PATH, "--seconds", "60", NULL};
    see_killed(words);
}

/* Who is killed is the child that explores the scenario. */
static void test_explorer(void)
{
    const char *const words[] = {CRASH_EXPLORER_PATH, "detach with slots", NULL};
    see_killed(words);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a test that is killed", test_killed},
        {"a child with a server of its own", test_child_with_server},
        {"a siege", test_siege},
        {"an explorer's child", test_explorer},
    };
    return ga_test_main("left_behind", tests, sizeof(tests) / sizeof(tests[0]));
}
