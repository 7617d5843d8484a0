#include "integration/puppet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define LONG_MS  60000u /* longer than any test waits where all is well */
#define NSMALL   20000  /* so many that spans are asked for ahead */

static struct goalloc_heap *heap;
static const char *name;
static pthread_t threads[3];
static pthread_barrier_t ready;
static pthread_barrier_t leaving;

/* ---- in the process ---- */

static bool fill_hands(void)
{
    void *kept[40];
    for (size_t i = 0; i < COUNT(kept); i++) {
        kept[i] = goalloc_malloc(heap, 40000 + i * 4000);
        void *tiny = goalloc_alloc(heap, 1 + i % 15, 0, GOALLOC_NOSCAN);
        void *small = goalloc_malloc(heap, 16 + 48 * i);
        void *gone = goalloc_malloc(heap, 64);
        if (!kept[i] || !tiny || !small || !gone)
            return false;
        goalloc_free(heap, gone);
    }
    for (size_t i = 0; i < COUNT(kept); i += 2)
        goalloc_free(heap, kept[i]);
    for (int i = 0; i < NSMALL; i++)
        if (!goalloc_alloc(heap, 512, 0, 0))
            return false;
    char *root = goalloc_malloc(heap, 100);
    if (!root || !goalloc_malloc_into(heap, 200, goalloc_slot(heap, 3)))
        return false;
    snprintf(root, 100, "of %s", name);
    return goalloc_hold(heap, kept[1]) == 0 && goalloc_hold(heap, root) == 0 &&
           goalloc_publish(heap, name, root) == 0;
}

static bool allocate(void)
{
    void *p = goalloc_malloc(heap, 64);
    goalloc_free(heap, p);
    return p != NULL;
}

static bool is_refused(void)
{
    void *large = goalloc_malloc(heap, 2 << 20);
    return !large && errno == ENOMEM && goalloc_unpublish(heap, name) == -EBUSY;
}

static bool child_allocates(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer gives up on a child that starts threads");
    return true;
#endif
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(allocate() ? 0 : 1);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void *work(void *unused)
{
    static _Thread_local void *objects[2000];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = goalloc_malloc(heap, 512);
    for (size_t i = 0; i < COUNT(objects); i++)
        goalloc_free(heap, objects[i]);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&leaving);
    return unused;
}

static bool start_threads(void)
{
    pthread_barrier_init(&ready, NULL, COUNT(threads) + 1);
    pthread_barrier_init(&leaving, NULL, COUNT(threads) + 1);
    for (size_t i = 0; i < COUNT(threads); i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return false;
    pthread_barrier_wait(&ready);
    return true;
}

static bool end_threads(void)
{
    pthread_barrier_wait(&leaving);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    return true;
}

/* What a program does that lets itself be copied at any time. */
static bool always_pause(int orders)
{
    struct pollfd next = {.fd = orders, .events = POLLIN};
    while (poll(&next, 1, 0) == 0)
        if (goalloc_wait_pause_wanted(heap, 20) == 0 &&
            (goalloc_pause(heap) < 0 || goalloc_resume(heap) < 0 || !allocate()))
            return false;
    return true;
}

static bool obey(char order, int orders)
{
    void *found;
    switch (order) {
    case 'f':
        return fill_hands();
    case 'p':
        return goalloc_pause(heap) == 0;
    case 'r':
        return goalloc_resume(heap) == 0;
    case 'w':
        return goalloc_wait_pause_wanted(heap, LONG_MS) == 0 &&
               goalloc_wait_pause_wanted(heap, 0) == 0;
    case 'n':
        return goalloc_wait_pause_wanted(heap, 0) == -ETIMEDOUT &&
               goalloc_wait_pause_wanted(heap, 1) == -ETIMEDOUT;
    case 'm':
        return allocate();
    case 'l':
        return goalloc_lookup(heap, name, &found) == 0 && strstr(found, name) != NULL;
    case 's':
        return is_refused();
    case 'c':
        return child_allocates();
    case 't':
        return start_threads();
    case 'j':
        return end_threads();
    case 'a':
        return always_pause(orders);
    case 'd':
        goalloc_detach(heap);
        return true;
    default:
        return false;
    }
}

static void live(const char *path, uint32_t policy, int orders, int answers)
{
    struct goalloc_options options = {
        .size = sizeof(options), .policy = policy, .timeout_ms = GA_PUPPET_TIMEOUT_MS};
    if (goalloc_attach(path, &options, &heap) < 0)
        fprintf(stderr, "%s\n", goalloc_attach_error());
    char order = 0;
    char answer = heap ? 'y' : 'n';
    while (write(answers, &answer, 1) == 1 && read(orders, &order, 1) == 1 && order != 'q')
        answer = obey(order, orders) ? 'y' : 'n';
    _exit(0);
}

/* ---- in the test ---- */

bool ga_puppet_begin(const char *path, uint32_t policy, const char *its_name, struct ga_puppet *ret)
{
    int orders[2];
    int answers[2];
    if (pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(orders[1]);
        close(answers[0]);
        name = its_name;
        live(path, policy, orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    *ret = (struct ga_puppet){.pid = pid, .orders = orders[1], .answers = answers[0]};
    return pid > 0 && ga_puppet_answers(ret);
}

void ga_puppet_tell(const struct ga_puppet *puppet, char order)
{
    if (write(puppet->orders, &order, 1) != 1)
        fprintf(stderr, "process %d takes no orders any more\n", (int)puppet->pid);
}

bool ga_puppet_answers(const struct ga_puppet *puppet)
{
    char answer = '-';
    return read(puppet->answers, &answer, 1) == 1 && answer == 'y';
}

bool ga_puppet_does(const struct ga_puppet *puppet, char order)
{
    ga_puppet_tell(puppet, order);
    return ga_puppet_answers(puppet);
}

void ga_puppet_end(struct ga_puppet *puppet, int signal_number)
{
    if (signal_number)
        kill(puppet->pid, signal_number);
    else
        ga_puppet_tell(puppet, 'q'); /* others may have its pipe open too */
    close(puppet->orders);
    close(puppet->answers);
    waitpid(puppet->pid, NULL, 0);
    puppet->pid = -1;
}
