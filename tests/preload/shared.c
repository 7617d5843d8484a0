/* A program whose malloc is a heap of its own, and that uses the server's heap besides: each knows
 * its own objects, also in a child of fork. */
#include <malloc.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "goalloc/goalloc.h"

#define N 5000

static void *(*volatile allocate)(size_t) = malloc;

/* Objects of both, in turn. */
static void use_both(struct goalloc_heap *heap)
{
    static unsigned char *mine[N];
    static unsigned char *ours[N];
    for (size_t i = 0; i < N; i++) {
        mine[i] = allocate(1 + i % 900);
        ours[i] = goalloc_malloc(heap, 1 + i % 900);
        CHECK(mine[i] && ours[i]);
        CHECK(goalloc_contains(heap, ours[i]) && !goalloc_contains(heap, mine[i]));
        memset(mine[i], 1, 1 + i % 900);
        memset(ours[i], 2, 1 + i % 900);
    }
    CHECK(mallinfo2().uordblks >= N * 200);
    for (size_t i = 0; i < N; i++) {
        CHECK(mine[i][i % 900] == 1 && ours[i][i % 900] == 2);
        free(mine[i]);
        goalloc_free(heap, ours[i]);
    }
}

int main(void)
{
    int *shared;
    struct goalloc_heap *heap;
    CHECK(goalloc_attach(NULL, NULL, &heap) == 0);
    use_both(heap);
    shared = goalloc_malloc(heap, sizeof(*shared));
    int *copied = allocate(sizeof(*copied));
    CHECK(shared && copied);
    *shared = 1;
    *copied = 1;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        *shared = 2;
        *copied = 2;
        use_both(heap);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(*shared == 2 && *copied == 1);
    goalloc_free(heap, shared);
    free(copied);
    goalloc_detach(heap);
    CHECK(goalloc_attach(NULL, NULL, &heap) == 0);
    use_both(heap);
    goalloc_detach(heap);
    puts("each knows its own");
    return 0;
}
