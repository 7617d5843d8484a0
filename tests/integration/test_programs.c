/* How processes begin and end around a heap: exec, exit without detach, _exit, abort, posix_spawn,
 * vfork, and clone(2), which runs no fork handler. What a process has leased goes back when it has
 * ended, however it did, and its objects stay. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

enum { OBJECTS = 1000, SIZE = 200, PATIENCE_MS = 20000 };

static struct ga_test_server server;
static struct goalloc_heap *heap;

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

/* ---- the other program ---- */

/* Leave a list of objects in the heap under name. */
static bool leave_objects(struct goalloc_heap *there, const char *name)
{
    void **list = NULL;
    for (int i = 0; i < OBJECTS; i++) {
        void **node = goalloc_malloc(there, SIZE);
        if (!node)
            return false;
        memset((void *)node, 0x5a, SIZE);
        *node = (void *)list;
        list = node;
    }
    return goalloc_publish(there, name, (void *)list) == 0;
}

/* Attach, leave objects under the name of the way to end, and end that way. */
static int run_program(const char *socket, const char *way)
{
    static const struct rlimit no_core;
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(60);
    struct goalloc_heap *there;
    if (goalloc_attach(socket, NULL, &there) < 0 || !leave_objects(there, way))
        return 1;
    if (strcmp(way, "_exit") == 0)
        _exit(0);
    if (strcmp(way, "abort") == 0)
        abort();
    if (strcmp(way, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(way, "exec") == 0) {
        execl("/proc/self/exe", "linger", (char *)NULL);
        return 1;
    }
    if (strcmp(way, "detach") == 0)
        goalloc_detach(there);
    return 0; /* "exit": with everything left as it is */
}

/* What exec leads to: a program that knows nothing of the heap, and lives until stdin ends. */
static int linger(void)
{
    char byte;
    alarm(60);
    ssize_t n = write(STDOUT_FILENO, "+", 1);
    while (n > 0 && read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}

/* ---- starting it, and looking after it ---- */

static char *argv_of(char *argv[4], const char *way)
{
    argv[0] = "program";
    argv[1] = server.socket;
    argv[2] = (char *)(uintptr_t)way;
    argv[3] = NULL;
    return argv[0];
}

static pid_t start(const char *way)
{
    char *argv[4];
    argv_of(argv, way);
    pid_t pid = fork();
    if (pid == 0) {
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    return status;
}

/* Whether no other process leases anything any more, after a while. */
static bool leases_are_back(void)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        struct goalloc_memstats stats = stats_now();
        if (stats.leased_spans == stats.own_leased_spans)
            return true;
        usleep(1000);
    }
    return false;
}

/* The objects that a program has left under name are whole, and can be freed. */
static void free_left_objects(const char *name)
{
    void *found = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_lookup(heap, name, &found), 0);
    int n = 0;
    int wrong = 0;
    for (void **node = found; node; n++) {
        void **next = *node;
        for (size_t i = sizeof(void *); i < SIZE; i++)
            wrong += ((unsigned char *)node)[i] != 0x5a;
        goalloc_free(heap, (void *)node);
        node = next;
    }
    CU_ASSERT_EQUAL(n, OBJECTS);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, name), 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

static void ends(void)
{
    static const struct {
        const char *way;
        int status;
    } cases[] = {{"detach", 0}, {"exit", 0}, {"_exit", 0}, {"abort", SIGABRT}, {"kill", SIGKILL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(wait_for(start(cases[i].way)), cases[i].status);
        CU_ASSERT(leases_are_back());
        free_left_objects(cases[i].way);
    }
}

/* A process that has become another program ended its connection, but may have threads' stores
 * behind it for all the server knows: it keeps what it leased until it is dead. */
static void exec_keeps_leases_to_the_end(void)
{
    int in[2];
    int out[2];
    char byte;
    CU_ASSERT_FATAL(pipe(in) == 0 && pipe(out) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[4];
        argv_of(argv, "exec");
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    close(out[1]);
    CU_ASSERT_EQUAL(read(out[0], &byte, 1), 1); /* it is the other program now */
    free_left_objects("exec");
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT(stats.leased_spans > stats.own_leased_spans);
    close(in[1]);
    CU_ASSERT_EQUAL(wait_for(pid), 0);
    CU_ASSERT(leases_are_back());
    close(in[0]);
    close(out[0]);
}

static void spawned(void)
{
    char *argv[4];
    pid_t pid = -1;
    argv_of(argv, "detach");
    void *p = goalloc_malloc(heap, SIZE);
    CU_ASSERT_EQUAL_FATAL(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    CU_ASSERT_EQUAL(wait_for(pid), 0);
    goalloc_free(heap, p);
    free_left_objects("detach");
}

static void vforked(void)
{
    char *argv[4];
    argv_of(argv, "exit");
    void *p = goalloc_malloc(heap, SIZE);
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    CU_ASSERT_EQUAL(wait_for(pid), 0);
    void *q = goalloc_malloc(heap, SIZE); /* the parent's mcache is still its own */
    CU_ASSERT(p && q && p != q);
    goalloc_free(heap, p);
    goalloc_free(heap, q);
    CU_ASSERT(leases_are_back());
    free_left_objects("exit");
}

/* ---- clone(2) ---- */

#ifndef __SANITIZE_THREAD__
static pid_t clone_raw(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int compare(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a;
    uintptr_t y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* Parent and copy allocate at the same time, from one list if nothing kept them apart. */
static void cloned(void)
{
    void **theirs = goalloc_calloc(heap, OBJECTS, sizeof(void *));
    void *given = goalloc_malloc(heap, SIZE);
    static void *all[2 * OBJECTS];
    CU_ASSERT_FATAL(theirs && given);
    pid_t pid = clone_raw();
    if (pid == 0) {
        alarm(60);
        bool good = true;
        for (int i = 0; i < OBJECTS; i++)
            good = (theirs[i] = goalloc_malloc(heap, SIZE)) != NULL && good;
        goalloc_free(heap, given);
        good = goalloc_publish(heap, "theirs", theirs) == 0 && good;
        goalloc_detach(heap);
        _exit(good ? 0 : 1);
    }
    for (int i = 0; i < OBJECTS; i++)
        all[i] = goalloc_malloc(heap, SIZE);
    CU_ASSERT_EQUAL(wait_for(pid), 0);
    memcpy(all + OBJECTS, theirs, OBJECTS * sizeof(void *));
    qsort(all, 2 * (size_t)OBJECTS, sizeof(void *), compare);
    int same = 0;
    for (int i = 1; i < 2 * OBJECTS; i++)
        same += all[i] == all[i - 1];
    CU_ASSERT_EQUAL(same, 0);
    CU_ASSERT_EQUAL(stats_now().heap_objects, 2 * OBJECTS + 1);
    for (int i = 0; i < 2 * OBJECTS; i++)
        goalloc_free(heap, all[i]);
    goalloc_free(heap, theirs);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "theirs"), 0);
    CU_ASSERT(leases_are_back());
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}

/* A copy whose first call is a free, a detach or a question, none of which is its parent's. */
static void cloned_for_one_call(void)
{
    void *p[3];
    for (int call = 0; call < 3; call++) {
        p[call] = goalloc_malloc(heap, SIZE);
        pid_t pid = clone_raw();
        if (pid == 0) {
            alarm(60);
            struct goalloc_memstats stats = {.size = sizeof(stats)};
            if (call == 0)
                goalloc_free(heap, p[call]);
            else if (call == 1)
                goalloc_detach(heap);
            else if (goalloc_memstats(heap, &stats) < 0 || stats.own_mallocs != 0)
                _exit(1);
            _exit(0);
        }
        CU_ASSERT_EQUAL(wait_for(pid), 0);
        CU_ASSERT_EQUAL(stats_now().heap_objects, call == 0 ? 0 : (uint64_t)call);
    }
    goalloc_free(heap, p[1]);
    goalloc_free(heap, p[2]);
    CU_ASSERT(leases_are_back());
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
}
#endif

int main(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "linger") == 0)
        return linger();
    if (argc == 3)
        return run_program(argv[1], argv[2]);
    static const struct ga_test tests[] = {
        {"how they end", ends},   {"exec", exec_keeps_leases_to_the_end},
        {"posix_spawn", spawned}, {"vfork and exec", vforked},
#ifndef __SANITIZE_THREAD__ /* it cannot follow a copy that starts threads */
        {"clone", cloned},        {"clone, for one call", cloned_for_one_call},
#endif
    };
    if (!ga_test_server_start("64M", &server) || goalloc_attach(server.socket, NULL, &heap) < 0)
        return 2;
    int r = ga_test_main("integration.programs", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? r : 1;
}
