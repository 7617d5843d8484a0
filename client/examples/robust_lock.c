/* A lock in the heap that survives its owner's death: a robust process-shared mutex beside the data
 * that it protects.
 *
 *   robust_lock    at $GOALLOC_SOCKET
 *
 * Two accounts lie in the heap, and the sum of both must never change. One process locks them, has
 * taken the money from the one and not yet given it to the other, and is killed. A second process,
 * which was waiting for the lock, gets it, is told that its owner died, puts the accounts right and
 * goes on. Exits with 0 if all of this is what happened. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <goalloc/goalloc.h>

#define ROOT       "bank"
#define TOTAL      1000
#define LIMIT_S    30 /* nothing here takes that long */
#define ATTEMPT_MS 10000

/* What must be right when the lock is free: from + to == TOTAL, and moving == 0. The fields are
 * atomic so that they are stored in the order in which they are written below: a process that is
 * killed then leaves a state that the next owner can make sense of. */
struct bank {
    pthread_mutex_t lock;
    _Atomic uint32_t moving; /* 1: from and to are being changed, and old_... is what they were */
    _Atomic int64_t old_from, old_to;
    _Atomic int64_t from, to;
    _Atomic uint32_t repairs;
};

#define store(field, value) atomic_store_explicit((field), (value), memory_order_release)
#define load(field)         atomic_load_explicit((field), memory_order_acquire)

static _Noreturn void fail(const char *what, int err)
{
    fprintf(stderr, "robust_lock: %s: %s\n", what, strerror(err));
    exit(1);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_heap *heap;
    alarm(LIMIT_S);
    if (goalloc_attach(NULL, NULL, &heap) < 0) {
        fprintf(stderr, "robust_lock: %s\n", goalloc_attach_error());
        exit(1);
    }
    return heap;
}

/* ---- the lock ---- */

static int init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    int err = pthread_mutexattr_init(&attributes);
    if (err)
        return err;
    err = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!err)
        err = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (!err)
        err = pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return err;
}

/* Undo what the dead owner had begun. Whoever repairs may be killed as well: this can be repeated.
 */
static void repair(struct bank *bank)
{
    if (load(&bank->moving)) {
        store(&bank->from, load(&bank->old_from));
        store(&bank->to, load(&bank->old_to));
        store(&bank->moving, 0);
    }
    store(&bank->repairs, load(&bank->repairs) + 1);
}

/* The one way to take the lock. Returns whether its last owner died with it. */
static bool lock(struct bank *bank)
{
    int err = pthread_mutex_lock(&bank->lock);
    if (err == 0)
        return false;
    if (err != EOWNERDEAD)
        fail("cannot take the lock", err);
    /* The lock is ours. The data first; only when that is right is the lock made whole: who dies in
     * between leaves EOWNERDEAD to the next. */
    repair(bank);
    err = pthread_mutex_consistent(&bank->lock);
    if (err)
        fail("cannot make the lock consistent", err);
    return true;
}

static void unlock(struct bank *bank)
{
    int err = pthread_mutex_unlock(&bank->lock);
    if (err)
        fail("cannot give the lock back", err);
}

/* ---- the data ---- */

static void begin_move(struct bank *bank, int64_t amount)
{
    store(&bank->old_from, load(&bank->from));
    store(&bank->old_to, load(&bank->to));
    store(&bank->moving, 1);
    store(&bank->from, load(&bank->from) - amount);
}

static void end_move(struct bank *bank, int64_t amount)
{
    store(&bank->to, load(&bank->to) + amount);
    store(&bank->moving, 0);
}

static void tell(const char *who, const char *what, struct bank *bank)
{
    printf("%-7s pid %d: %s: %lld + %lld = %lld\n", who, getpid(), what,
           (long long)load(&bank->from), (long long)load(&bank->to),
           (long long)(load(&bank->from) + load(&bank->to)));
    fflush(stdout);
}

/* ---- the processes ---- */

static void say_ready(int fd)
{
    if (write(fd, "r", 1) != 1)
        fail("cannot write to the pipe", errno);
}

/* Makes the bank, and is killed in the middle of a move. */
static _Noreturn void be_first(int ready_fd)
{
    struct goalloc_heap *heap = attach();
    struct bank *bank = goalloc_calloc(heap, 1, sizeof(*bank));
    if (!bank)
        fail("no memory for the bank", errno);
    store(&bank->from, TOTAL);
    int err = init_lock(&bank->lock);
    if (err)
        fail("cannot make the lock", err);
    /* Published when it is whole: nobody finds a mutex that is none yet. */
    int r = goalloc_publish(heap, ROOT, bank);
    if (r < 0)
        fail("cannot publish the bank", -r);

    lock(bank);
    begin_move(bank, 300);
    tell("first", "has the lock, and half of a move is done", bank);
    say_ready(ready_fd);
    for (;;)
        pause();
}

/* Waits for the lock, and finds its owner dead. */
static _Noreturn void be_second(int ready_fd)
{
    struct goalloc_heap *heap = attach();
    void *found;
    int r = goalloc_wait(heap, ROOT, ATTEMPT_MS, &found);
    if (r < 0)
        fail("nobody has published a bank", -r);
    struct bank *bank = found;
    if (pthread_mutex_trylock(&bank->lock) != EBUSY)
        fail("the lock of a living owner was to be had", EBUSY);
    say_ready(ready_fd);

    bool owner_died = lock(bank);
    tell("second", owner_died ? "got EOWNERDEAD, and has repaired" : "got the lock as usual", bank);
    bool good = owner_died && load(&bank->from) == TOTAL && load(&bank->to) == 0;
    begin_move(bank, 300);
    end_move(bank, 300);
    tell("second", "has done the move", bank);
    unlock(bank);
    goalloc_detach(heap);
    exit(good ? 0 : 1);
}

static pid_t start(void (*be)(int ready_fd))
{
    int ready[2];
    if (pipe(ready) < 0)
        fail("cannot make a pipe", errno);
    pid_t pid = fork();
    if (pid < 0)
        fail("cannot start a process", errno);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody stays behind if this fails half-way */
        close(ready[0]);
        be(ready[1]);
    }
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        fail("a process ended too early", ECHILD);
    close(ready[0]);
    return pid;
}

int main(void)
{
    alarm(LIMIT_S);
    pid_t first = start(be_first);
    pid_t second = start(be_second);
    printf("main    pid %d: kills the first\n", getpid());
    fflush(stdout);
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    int status = 0;
    waitpid(second, &status, 0);

    /* The lock is as good as new, and so are the accounts. */
    struct goalloc_heap *heap = attach();
    void *found;
    int r = goalloc_lookup(heap, ROOT, &found);
    if (r < 0)
        fail("the bank is gone", -r);
    struct bank *bank = found;
    bool owner_died = lock(bank);
    tell("main", owner_died ? "got EOWNERDEAD" : "got the lock as usual", bank);
    bool good = status == 0 && !owner_died && load(&bank->repairs) == 1 &&
                load(&bank->from) == TOTAL - 300 && load(&bank->to) == 300;
    unlock(bank);
    /* Nobody else uses the bank any more, so it may go, lock and all. */
    goalloc_unpublish(heap, ROOT);
    pthread_mutex_destroy(&bank->lock);
    goalloc_free(heap, bank);
    goalloc_detach(heap);
    if (!good)
        fprintf(stderr, "robust_lock: this is not what was to happen\n");
    return good ? 0 : 1;
}
