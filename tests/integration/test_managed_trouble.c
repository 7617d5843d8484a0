/* Managed processes that cannot stand still: they are named, and then nothing is freed; and whoever
 * is killed or stopped in a collection, what is reached stays, and the next one works. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/managed_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a)  (sizeof(a) / sizeof(*(a)))
#define KILLS     10
#define STOPS     2
#define LONG_LIST 500000

static struct managed_node *in_static_data;

/* Whether a collection is abandoned, and says this. */
static void abandoned(const char *says)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    managed_make_garbage();
    CU_ASSERT_EQUAL(goalloc_gc(managed_heap, &result), -ECANCELED);
    CU_ASSERT_EQUAL(result.freed, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.failure, says));
    if (!strstr(result.failure, says))
        fprintf(stderr, "it says: %s\n", result.failure);
}

static void a_process_is_stopped(void)
{
    managed_open("256M");
    managed_publish_list();
    struct managed_peer peer = managed_start_peer(managed_be_a_peer);
    CU_ASSERT(managed_hears(&peer));
    kill(peer.pid, SIGSTOP);
    int status;
    CU_ASSERT_EQUAL(waitpid(peer.pid, &status, WUNTRACED), peer.pid);
    abandoned("it is stopped by a signal");
    kill(peer.pid, SIGCONT);
    managed_collect_garbage();
    CU_ASSERT_EQUAL(write(peer.to, "?", 1), 1);
    CU_ASSERT(managed_hears(&peer));
    managed_end_peer(&peer);
    managed_close();
}

static void *block_signals(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return managed_keep_on_stack(argument);
}

static void a_thread_is_deaf(void)
{
    managed_open("256M");
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, block_signals, NULL), 0);
    while (managed_nready == 0)
        sched_yield();
    abandoned("does not answer signal");
    managed_over = true;
    void *whole = NULL;
    pthread_join(thread, &whole);
    CU_ASSERT_PTR_NOT_NULL(whole);
    managed_collect_garbage();
    managed_close();
}

static void handle(int number)
{
    (void)number;
}

static void the_signal_is_taken(void)
{
    managed_open("256M");
    struct sigaction ours;
    struct sigaction theirs = {.sa_handler = handle};
    int number = SIGRTMAX - 1;
    CU_ASSERT_EQUAL(sigaction(number, &theirs, &ours), 0);
    abandoned("the program has set another handler for signal");
    CU_ASSERT_EQUAL(sigaction(number, &ours, NULL), 0);
    managed_collect_garbage();
    managed_close();
}

static void bad_options(void)
{
    managed_open("256M");
    struct goalloc_heap *another = NULL;
    CU_ASSERT_EQUAL(managed_attach(1u << 9, 0, &another), -EINVAL);
    CU_ASSERT_EQUAL(managed_attach(0, SIGUSR1, &another), -EINVAL);
    CU_ASSERT_EQUAL(managed_attach(GOALLOC_MANAGED, SIGUSR1, &another), -EBUSY);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(goalloc_attach_error(), "stops the threads of this process already"));
    managed_close();
}

/* ---- kills ---- */

/* A child that collects all the time, until it is killed in the middle. */
static void collect_for_ever(void)
{
    for (;;) {
        managed_make_garbage();
        (void)goalloc_gc(managed_heap, NULL);
    }
}

static void killed_in_a_cycle(void)
{
    managed_open("256M");
    in_static_data = managed_make_list(MANAGED_LIST);
    uint64_t random = ga_test_seed();
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            collect_for_ever();
        poll(NULL, 0, (int)(ga_test_random(&random) % 60));
        kill(pid, SIGKILL);
        CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
        CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    }
    (void)managed_collect_at_last();
    managed_collect_garbage();
    CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    in_static_data = NULL;
    managed_close();
}

/* The server is killed in the middle of cycles: everybody goes on, and with the next one it works.
 */
static void the_server_is_killed(void)
{
    managed_open("256M");
    in_static_data = managed_make_list(MANAGED_LIST);
    uint64_t random = ga_test_seed();
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, managed_collect_until_over, NULL), 0);
    for (int i = 0; i < KILLS; i++) {
        poll(NULL, 0, (int)(ga_test_random(&random) % 60));
        ga_test_server_kill(&managed_server);
        CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
        CU_ASSERT_FATAL(ga_test_server_start_again(&managed_server, "256M"));
    }
    managed_over = true;
    pthread_join(thread, NULL);
    (void)managed_collect_at_last();
    managed_collect_garbage();
    CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    in_static_data = NULL;
    managed_close();
}

static void *count_on(void *argument)
{
    atomic_ulong *count = argument;
    while (!managed_over)
        (*count)++;
    return NULL;
}

/* A child, which does not stand still with us, stops the server, says so, and has it go on when it
 * is told to; and again. */
static void stop_the_server(int from, int to)
{
    char said;
    uint64_t random = ga_test_seed();
    for (int i = 0; i < STOPS; i++) {
        poll(NULL, 0, 50 + (int)(ga_test_random(&random) % 50));
        kill(managed_server.pid, SIGSTOP);
        bool told = write(to, "1", 1) == 1 && read(from, &said, 1) == 1;
        kill(managed_server.pid, SIGCONT);
        if (!told)
            _exit(1);
    }
    _exit(0);
}

/* The server is stopped, most likely while it marks: threads go on without it, and it frees
 * nothing then. */
static void the_server_is_stopped(void)
{
    static atomic_ulong count;
    managed_open("256M");
    in_static_data = managed_make_list(LONG_LIST);
    pthread_t collector;
    pthread_t counter;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&collector, NULL, managed_collect_until_over, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&counter, NULL, count_on, &count), 0);
    struct managed_peer stopper = managed_start_peer(stop_the_server);
    for (int i = 0; i < STOPS; i++) {
        CU_ASSERT(managed_hears(&stopper));
        unsigned long before = count;
        while (count - before < 1000)
            poll(NULL, 0, 1);
        CU_ASSERT(managed_is_whole(in_static_data, LONG_LIST));
        CU_ASSERT_EQUAL(write(stopper.to, "1", 1), 1);
    }
    managed_over = true;
    pthread_join(collector, NULL);
    pthread_join(counter, NULL);
    managed_end_peer(&stopper);
    managed_collect_garbage();
    CU_ASSERT(managed_is_whole(in_static_data, LONG_LIST));
    in_static_data = NULL;
    managed_close();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"a process is stopped", a_process_is_stopped},
        {"a thread is deaf", a_thread_is_deaf},
        {"the signal is taken", the_signal_is_taken},
        {"bad options", bad_options},
        {"killed in a cycle", killed_in_a_cycle},
        {"the server is killed", the_server_is_killed},
        {"the server is stopped", the_server_is_stopped},
    };
    return ga_test_main("integration.managed_trouble", tests, COUNT(tests));
}
