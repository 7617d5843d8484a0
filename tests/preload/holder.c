/* Holds some memory until its standard input ends, and says when it does.
 *
 *   holder [often | late | soon]
 *
 * Or a child of fork does, that has needed much; or little, some time after the fork or just then:
 * that one says - instead of . where it was not so soon. */
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define N       3000
#define SIZE    1000
#define SOON_MS 50

static void *(*volatile allocate)(size_t) = malloc;
static void *held[N];

/* A name that profiles show. */
__attribute__((noinline)) static void hold_much(void)
{
    for (int i = 0; i < N; i++) {
        held[i] = allocate(SIZE);
        CHECK(held[i]);
        memset(held[i], 1, SIZE);
    }
    __asm__ volatile("" : : : "memory");
}

static int await_end(const char *said)
{
    char byte;
    CHECK(write(STDOUT_FILENO, said, 1) == 1);
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

static void hold_little(void)
{
    held[0] = allocate(SIZE);
    CHECK(held[0]);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int be_child(const char *kind, int64_t forked_ms)
{
    if (strcmp(kind, "often") == 0) {
        hold_much();
        return await_end(".");
    }
    if (strcmp(kind, "late") == 0)
        CHECK(usleep(200000) == 0);
    hold_little();
    return await_end(strcmp(kind, "late") == 0 || now_ms() - forked_ms < SOON_MS ? "." : "-");
}

int main(int argc, char **argv)
{
    int status;
    if (argc == 1) {
        hold_much();
        return await_end(".");
    }
    int64_t forked_ms = now_ms();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        return be_child(argv[1], forked_ms);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status == 0 ? 0 : 1;
}
