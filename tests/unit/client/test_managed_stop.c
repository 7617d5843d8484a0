/* Stopping all threads of a process: those that compute, sleep, come and go, are in an operation,
 * in another's handler or on another stack stand still; one that cannot be stopped is named, and
 * then nobody is left standing; the signal is the program's if it says so. The test's main thread
 * plays the library's. */
#include "client/managed_stop.h"

#include <dirent.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/busy.h"
#include "client/uncancelled.h"
#include "support/cunit_main.h"

#define COUNT(a)    (sizeof(a) / sizeof(*(a)))
#define LONG_MS     20000u
#define SHORT_MS    300u
#define MANY        20
#define ROUNDS      20
#define STACK_BYTES (64u << 10)

static char why[GA_STOP_WHY_BYTES];
static atomic_bool over;
static atomic_int nready;
static atomic_ulong counts[MANY]; /* how far each thread has come */

static void set_up(void)
{
    static bool done;
    if (!done) {
        CU_ASSERT_EQUAL_FATAL(ga_stop_take_signal(0, why), 0);
        ga_stop_set_thread(ga_stop_reserve_place(), gettid());
    }
    done = true;
    over = false;
    nready = 0;
}

static pthread_t start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int ready = nready;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run, argument), 0);
    while (nready == ready)
        sched_yield();
    return thread;
}

static void finish(pthread_t thread)
{
    over = true;
    pthread_join(thread, NULL);
}

static size_t count_stopped(void)
{
    struct ga_stopped thread;
    size_t count = 0;
    for (size_t i = 0; ga_stop_next(&i, &thread);)
        count++;
    return count;
}

static void *compute(void *argument)
{
    atomic_ulong *count = argument;
    nready++;
    while (!over) {
        errno = 4711;
        atomic_fetch_add(count, 1);
        if (errno != 4711)
            abort();
    }
    return NULL;
}

static void *sleep_long(void *argument)
{
    (void)argument;
    nready++;
    while (!over)
        poll(NULL, 0, 10);
    return NULL;
}

/* While they stand still nothing moves; then all goes on, errno and all. */
static void all_stand_still(void)
{
    set_up();
    pthread_t threads[MANY];
    for (int i = 0; i < MANY; i++)
        threads[i] = start(i % 4 ? sleep_long : compute, &counts[i]);
    for (int round = 0; round < ROUNDS; round++) {
        CU_ASSERT_EQUAL_FATAL(ga_stop_all(LONG_MS, why), 0);
        CU_ASSERT_EQUAL(count_stopped(), MANY);
        unsigned long before[MANY];
        for (int i = 0; i < MANY; i++)
            before[i] = counts[i];
        usleep(200);
        for (int i = 0; i < MANY; i++)
            CU_ASSERT_EQUAL(counts[i], before[i]);
        ga_stop_release();
        unsigned long last = counts[0];
        while (counts[0] == last)
            sched_yield();
    }
    for (int i = 0; i < MANY; i++)
        finish(threads[i]);
}

static void *end_at_once(void *argument)
{
    (void)argument;
    return NULL;
}

/* Starts threads all the time, which end at once. */
static void *multiply(void *argument)
{
    (void)argument;
    nready++;
    while (!over) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static void threads_come_and_go(void)
{
    set_up();
    pthread_t threads[] = {start(multiply, NULL), start(multiply, NULL)};
    for (int round = 0; round < ROUNDS; round++) {
        CU_ASSERT_EQUAL_FATAL(ga_stop_all(LONG_MS, why), 0);
        size_t count = count_stopped();
        CU_ASSERT(count >= COUNT(threads) && count <= 2 * COUNT(threads));
        ga_stop_release();
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        finish(threads[i]);
}

static atomic_ulong noperations;
static atomic_bool within;

/* In an operation most of the time, and sometimes for a while not. */
static void *operate(void *argument)
{
    (void)argument;
    nready++;
    while (!over) {
        ga_busy_begin();
        within = true;
        for (int i = 0; i < 1000; i++)
            noperations++;
        within = false;
        ga_busy_end();
        {
            GA_UNCANCELLED;
            within = true;
            for (int i = 0; i < 1000; i++)
                noperations++;
            within = false;
        }
        if (noperations % 16 == 0)
            poll(NULL, 0, 1);
    }
    return NULL;
}

static void not_in_an_operation(void)
{
    set_up();
    pthread_t thread = start(operate, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        CU_ASSERT_EQUAL_FATAL(ga_stop_all(LONG_MS, why), 0);
        CU_ASSERT_FALSE(within);
        ga_stop_release();
    }
    finish(thread);
}

static atomic_uint has_come;

static void *stay_busy(void *argument)
{
    bool waits = *(bool *)argument;
    ga_busy_begin();
    uint8_t before = waits ? ga_busy_begin_wait(&has_come) : GA_BUSY_IN_OPERATION;
    nready++;
    while (!over)
        poll(NULL, 0, 1);
    ga_busy_leave(before);
    ga_busy_end();
    return NULL;
}

/* One that is in a call for too long is named, unless it waits there for the server. */
static void waiting_is_standing_still(void)
{
    set_up();
    bool waits = true;
    pthread_t thread = start(stay_busy, &waits);
    CU_ASSERT_EQUAL(ga_stop_all(LONG_MS, why), 0);
    CU_ASSERT_EQUAL(count_stopped(), 1);
    ga_stop_release();
    finish(thread);

    set_up();
    waits = false;
    thread = start(stay_busy, &waits);
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), -ETIMEDOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "in the middle of a call all the time"));
    finish(thread);

    /* The answer has come, which may be an object that nobody else knows. */
    set_up();
    waits = true;
    has_come = 1;
    thread = start(stay_busy, &waits);
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), -ETIMEDOUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "in the middle of a call all the time"));
    has_come = 0;
    finish(thread);
}

static atomic_int deaf_tid;

static void *block_signals(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    deaf_tid = gettid();
    return sleep_long(argument);
}

/* A thread that blocks signals is named, and those that stood still go on. */
static void a_deaf_thread(void)
{
    set_up();
    pthread_t threads[] = {start(compute, &counts[0]), start(block_signals, NULL)};
    char expected[64];
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), -ETIMEDOUT);
    snprintf(expected, sizeof(expected), "its thread %d does not answer signal %d", deaf_tid,
             SIGRTMAX - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, expected));
    unsigned long last = counts[0];
    while (counts[0] == last)
        sched_yield();
    for (size_t i = 0; i < COUNT(threads); i++)
        finish(threads[i]);
    /* It is gone, and what it did not handle with it. */
    CU_ASSERT_EQUAL(ga_stop_all(LONG_MS, why), 0);
    CU_ASSERT_EQUAL(count_stopped(), 0);
    ga_stop_release();
}

static void other_handler(int number)
{
    (void)number;
}

static void the_program_takes_the_signal(void)
{
    set_up();
    struct sigaction ours;
    struct sigaction theirs = {.sa_handler = other_handler};
    CU_ASSERT_EQUAL(sigaction(SIGRTMAX - 1, &theirs, &ours), 0);
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), -EPERM);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "the program has set another handler for signal"));
    CU_ASSERT_EQUAL(sigaction(SIGRTMAX - 1, &ours, NULL), 0);
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), 0);
    CU_ASSERT_EQUAL(ga_stop_all(SHORT_MS, why), -EBUSY);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "stand still for another heap already"));
    ga_stop_release();
}

/* What happens in a child of fork, which has no signal of its own as yet. */
static bool in_child(bool (*test)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(test() ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool refuses(const char *text, uint32_t number, int err, const char *says)
{
    if (text)
        setenv("GOALLOC_STOP_SIGNAL", text, 1);
    int r = ga_stop_take_signal(number, why);
    if (r == err && strstr(why, says))
        return true;
    fprintf(stderr, "%s, %u: %d, %s\n", text ? text : "", number, r, why);
    return false;
}

static bool refuses_what_is_taken(void)
{
    signal(SIGRTMAX - 3, other_handler);
    signal(SIGRTMAX - 4, SIG_IGN);
    char taken[16];
    snprintf(taken, sizeof(taken), "%d", SIGRTMAX - 3);
    return refuses(taken, 0, -EBUSY, "has a handler already") &&
           refuses("x", 0, -EINVAL, "$GOALLOC_STOP_SIGNAL, x is no signal") &&
           refuses("9", 0, -EINVAL, "is no signal") && refuses("", 999, -EINVAL, "stop_signal") &&
           refuses(NULL, (uint32_t)SIGRTMAX - 4, -EBUSY, "has a handler already") &&
           refuses(NULL, SIGSEGV, -EINVAL, "is no signal");
}

static bool takes_the_next(void)
{
    signal(SIGRTMAX - 1, other_handler);
    struct sigaction action;
    return ga_stop_take_signal(0, why) == 0 && sigaction(SIGRTMAX - 2, NULL, &action) == 0 &&
           (action.sa_flags & (SA_SIGINFO | SA_RESTART)) == (SA_SIGINFO | SA_RESTART) &&
           refuses(NULL, SIGUSR1, -EBUSY, "stops the threads of this process already") &&
           ga_stop_take_signal((uint32_t)SIGRTMAX - 2, why) == 0;
}

static bool takes_what_is_named(void)
{
    struct sigaction action;
    setenv("GOALLOC_STOP_SIGNAL", "12", 1);
    return ga_stop_take_signal(0, why) == 0 && sigaction(SIGUSR2, NULL, &action) == 0 &&
           action.sa_flags & SA_SIGINFO;
}

static void which_signal(void)
{
    CU_ASSERT(in_child(refuses_what_is_taken));
    CU_ASSERT(in_child(takes_the_next));
    CU_ASSERT(in_child(takes_what_is_named));
}

static char other_stack[STACK_BYTES] __attribute__((aligned(64)));

static void run_on_other_stack(int number)
{
    (void)number;
    sleep_long(NULL);
}

static void *use_other_stack(void *argument)
{
    (void)argument;
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    struct sigaction action = {.sa_handler = run_on_other_stack, .sa_flags = SA_ONSTACK};
    stack_t before;
    sigaltstack(&stack, &before);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    sigaltstack(&before, NULL); /* a sanitizer's, which it frees */
    return NULL;
}

/* A thread on an alternate stack says where it is; and one that has said where its own lies. */
static void where_the_stack_lies(void)
{
    set_up();
    pthread_t thread = start(use_other_stack, NULL);
    struct ga_stopped stopped;
    CU_ASSERT_EQUAL_FATAL(ga_stop_all(LONG_MS, why), 0);
    size_t i = 0;
    CU_ASSERT_TRUE_FATAL(ga_stop_next(&i, &stopped));
    CU_ASSERT(stopped.sp >= (uintptr_t)other_stack &&
              stopped.sp < (uintptr_t)other_stack + sizeof(other_stack));
    CU_ASSERT_EQUAL(stopped.stack.end, 0);
    ga_stop_release();
    finish(thread);
}

/* ---- two heaps ---- */

static void *stop_for_another_heap(void *argument)
{
    int place = ga_stop_reserve_place();
    ga_stop_set_thread(place, gettid());
    bool *stopped = argument;
    *stopped = ga_stop_all(LONG_MS, why) == 0;
    nready++;
    poll(NULL, 0, 20);
    ga_stop_release();
    ga_stop_free_place(place);
    return NULL;
}

static void one_after_the_other(void)
{
    set_up();
    bool stopped = false;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, stop_for_another_heap, &stopped), 0);
    while (nready == 0)
        sched_yield();
    CU_ASSERT_EQUAL(ga_stop_all(LONG_MS, why), 0);
    ga_stop_release();
    pthread_join(thread, NULL);
    CU_ASSERT(stopped);
}

/* ---- the kernel's threads ---- */

static int count_threads(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Have a thread of the kernel's read from fd for this process. The ring, or -1 where there is none
 * to be had. */
static int read_by_worker(int fd, char *to)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        return -1;
    char *queue = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(uint32_t),
                       PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, params.sq_entries * sizeof(*entries),
                                        PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    CU_ASSERT_FATAL(queue != MAP_FAILED && entries != MAP_FAILED);
    entries[0] = (struct io_uring_sqe){
        .opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = fd, .addr = (uintptr_t)to, .len = 1};
    ga_store_release((_Atomic uint32_t *)(void *)(queue + params.sq_off.tail), 1);
    CU_ASSERT_EQUAL(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0), 1);
    munmap(queue, params.sq_off.array + params.sq_entries * sizeof(uint32_t));
    munmap(entries, params.sq_entries * sizeof(*entries));
    return ring;
}

/* They are listed with ours, and handle no signals; nor have they anything of the program's. */
static void the_kernels_threads(void)
{
    set_up();
    int ends[2];
    static char byte;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    int before = count_threads();
    int ring = read_by_worker(ends[0], &byte);
    if (ring >= 0) {
        while (count_threads() == before)
            sched_yield();
        CU_ASSERT_EQUAL(ga_stop_all(LONG_MS, why), 0);
        ga_stop_release();
        close(ring);
    }
    close(ends[1]);
    close(ends[0]);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"which signal", which_signal}, /* first: the children have none as yet */
        {"all stand still", all_stand_still},
        {"threads come and go", threads_come_and_go},
        {"not in an operation", not_in_an_operation},
        {"waiting is standing still", waiting_is_standing_still},
        {"a deaf thread", a_deaf_thread},
        {"the program takes the signal", the_program_takes_the_signal},
        {"where the stack lies", where_the_stack_lies},
        {"one after the other", one_after_the_other},
        {"the kernel's threads", the_kernels_threads},
    };
    return ga_test_main("client.managed_stop", tests, COUNT(tests));
}
