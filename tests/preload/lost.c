/* What threads had that a fork's child has not is used there by those it has: free slots in spans
 * that a lost thread held. */
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SIZE    1000u
#define NSPANS  3000u /* about */
#define A_SPAN  8u    /* of SIZE */
#define MOST_MB 6u    /* that the heap may grow by for what would need 23 MB */

static char *object[NSPANS * A_SPAN];
static pthread_barrier_t there;

/* Each span keeps one, and so stays this thread's. */
static void *hold_spans(void *unused)
{
    for (unsigned i = 0; i < NSPANS * A_SPAN; i++) {
        object[i] = malloc(SIZE);
        CHECK(object[i]);
        memset(object[i], 1, SIZE);
    }
    for (unsigned i = 0; i < NSPANS * A_SPAN; i++)
        if (i % A_SPAN != 0)
            free(object[i]);
    pthread_barrier_wait(&there);
    pause();
    return unused;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.arena + info.hblkhd;
}

static _Noreturn void be_child(void)
{
    size_t before = heap_bytes();
    for (unsigned i = 0; i < NSPANS * (A_SPAN - 1); i++) {
        char *p = malloc(SIZE);
        CHECK(p);
        memset(p, 2, SIZE);
    }
    for (unsigned i = 0; i < NSPANS * A_SPAN; i += A_SPAN)
        CHECK(object[i][0] == 1 && object[i][SIZE - 1] == 1);
    CHECK(heap_bytes() - before < MOST_MB << 20);
    _Exit(0);
}

int main(void)
{
    pthread_t thread;
    int status;
    CHECK(pthread_barrier_init(&there, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, hold_spans, NULL) == 0);
    pthread_barrier_wait(&there);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        be_child();
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    puts("nothing was lost");
    return 0;
}
