/* Leaves what its argument says, and frees other objects as late as a program can. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define NLOST        100
#define NMAPPED      4
#define MAPPED_BYTES ((size_t)200 << 10) /* less than a thread's cache has */

static void *(*volatile allocate)(size_t) = malloc;
static void *volatile kept;
static void *freed_by_destructor;
static void *freed_at_exit;

/* Places that are named in what is told of leaks. */
__attribute__((noinline)) static void lose(int n)
{
    for (int i = 0; i < n; i++)
        *(volatile char *)allocate(1000) = 1;
    __asm__ volatile("" : : : "memory");
}

/* One object leads to the other, and a variable to that. */
__attribute__((noinline)) static void keep(void)
{
    void **first = allocate(5000);
    CHECK(first);
    *first = allocate(300);
    kept = first;
    __asm__ volatile("" : : : "memory");
}

static void at_exit(void)
{
    free(freed_at_exit);
}

static __attribute__((destructor)) void at_end(void)
{
    free(freed_by_destructor);
}

static __attribute__((constructor)) void at_beginning(void)
{
    freed_by_destructor = allocate(40);
}

/* What a thread alone knows of is not lost. */
static void *hold(void *barrier)
{
    void *volatile mine = allocate(7000);
    CHECK(mine);
    pthread_barrier_wait(barrier);
    for (;;)
        pause();
}

static void leave_to_thread(void)
{
    static pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    CHECK(pthread_create(&thread, NULL, hold, &barrier) == 0);
    pthread_barrier_wait(&barrier);
}

/* The pointers in dead frames are overwritten. */
__attribute__((noinline)) static void clear_stack(void)
{
    char room[16384];
    memset(room, 0, sizeof(room));
    __asm__ volatile("" : : "r"(room) : "memory");
}

static int have_child(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        lose(7);
        clear_stack();
        exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    return 4;
}

/* A child of another thread's has memory of its own, where what that child has no more of was: what
 * lies there is looked through too. */
static void *map_in_child(void *unused)
{
    free(allocate(100));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0) {
        CHECK(waitpid(pid, NULL, 0) == pid);
        return unused;
    }
    for (int i = 0; i < NMAPPED; i++) {
        void **mapped =
            mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(mapped != MAP_FAILED);
        mapped[0] = allocate(1000);
    }
    clear_stack();
    exit(0);
}

static void let_thread_fork(void)
{
    pthread_t thread;
    free(allocate(100));
    CHECK(pthread_create(&thread, NULL, map_in_child, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    freed_at_exit = allocate(50);
    atexit(at_exit);
    if (strcmp(what, "lose") == 0) {
        lose(NLOST);
        keep();
    }
    if (strcmp(what, "thread") == 0)
        leave_to_thread();
    if (strcmp(what, "child") == 0)
        return have_child();
    if (strcmp(what, "mapped") == 0)
        let_thread_fork();
    if (strcmp(what, "killed") == 0) {
        lose(NLOST);
        raise(SIGKILL);
    }
    if (strcmp(what, "_exit") == 0)
        _exit(5);
    clear_stack();
    return 0;
}
