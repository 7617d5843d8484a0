/* A fork copies the heap: what parent and child then write, free and allocate the other does not
 * see, whatever threads were at when it came. */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define COUNT   4000u
#define THREADS 3u

struct object {
    unsigned char *p;
    size_t size;
    unsigned char mark;
};

struct set {
    struct object object[COUNT];
    uint32_t random;
};

static uint32_t next_random(struct set *set)
{
    set->random ^= set->random << 13;
    set->random ^= set->random >> 17;
    set->random ^= set->random << 5;
    return set->random;
}

static void check_object(const struct object *object)
{
    for (size_t i = 0; i < object->size; i++)
        CHECK(object->p[i] == object->mark);
}

static void check_all(const struct set *set)
{
    for (uint32_t i = 0; i < COUNT; i++)
        if (set->object[i].p)
            check_object(&set->object[i]);
}

/* Most are small, some large. */
static size_t some_size(struct set *set)
{
    uint32_t random = next_random(set);
    return random % 100 == 0 ? 40000 + random % 200000 : 1 + random % 700;
}

static void replace_some(struct set *set, uint32_t times)
{
    while (times-- > 0) {
        struct object *object = &set->object[next_random(set) % COUNT];
        if (object->p) {
            check_object(object);
            free(object->p);
            object->p = NULL;
            continue;
        }
        object->size = some_size(set);
        object->mark = (unsigned char)next_random(set);
        object->p = malloc(object->size);
        CHECK(object->p);
        memset(object->p, object->mark, object->size);
    }
}

static void free_all(struct set *set)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        if (set->object[i].p)
            check_object(&set->object[i]);
        free(set->object[i].p);
        set->object[i].p = NULL;
    }
}

static void await(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct set sets[THREADS + 1];
static _Atomic bool stopping;

static void *churn(void *data)
{
    struct set *set = data;
    while (!stopping)
        replace_some(set, 100);
    return NULL;
}

/* What a child does that has depth generations below it: each is the next one's parent. */
static _Noreturn void be_child(unsigned depth)
{
    struct set *own = &sets[THREADS];
    pid_t below = 0;
    for (; below == 0; depth--) {
        check_all(own);
        replace_some(own, 20000);
        if (depth == 0)
            break;
        below = fork();
        CHECK(below >= 0);
    }
    replace_some(own, 5000);
    if (below > 0)
        await(below);
    free_all(own);
    _Exit(0);
}

/* Of a child that has threads itself. */
static _Noreturn void be_threaded_child(void)
{
    pthread_t thread[THREADS];
    static struct set fresh[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        fresh[i].random = 77 + i;
        CHECK(pthread_create(&thread[i], NULL, churn, &fresh[i]) == 0);
    }
    replace_some(&sets[THREADS], 30000);
    stopping = true;
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    be_child(1);
}

static void spawn(void)
{
    char *arguments[] = {(char *)"true", NULL};
    extern char **environ;
    pid_t pid;
    CHECK(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ) == 0);
    await(pid);
    pid = vfork();
    if (pid == 0) {
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    await(pid);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
    pthread_t thread[THREADS];
    for (uint32_t i = 0; i <= THREADS; i++)
        sets[i].random = 4711 + i;
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, churn, &sets[i]) == 0);
    for (unsigned round = 0; round < rounds; round++) {
        struct set *own = &sets[THREADS];
        replace_some(own, 3000);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            if (round % 3 == 0)
                be_threaded_child();
            be_child(2);
        }
        replace_some(own, 10000);
        check_all(own);
        if (round % 5 == 0)
            spawn();
        await(pid);
    }
    stopping = true;
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    for (uint32_t i = 0; i <= THREADS; i++)
        free_all(&sets[i]);
    puts("all as it was");
    return 0;
}
