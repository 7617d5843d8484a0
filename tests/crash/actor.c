#include "crash/actor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/stuck.h"
#include "crash/trace.h"
#include "shm/ring.h"
#include "shm/sample.h"

#define REQUEST_MS 5000
#define ACTOR_MS   60000 /* who does not do what it is told in this time is stuck */

struct goalloc_heap *ga_heap;
struct ga_account *ga_account;
static struct ga_crash_world ga_world;
static pid_t explorer;
static uint32_t policy;

static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    if (kind != GOALLOC_REPORT_LOST)
        ga_account_complain(ga_account, "reported: %s", message);
}

void ga_actor_attach(void)
{
    /* A server that is traced is slow to answer. */
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 120000, .policy = policy, .report = on_report};
    int r = goalloc_attach(ga_world.socket, &options, &ga_heap);
    if (r < 0)
        ga_account_complain(ga_account, "cannot attach: %s", goalloc_attach_error());
}

void ga_actor_attach_as(uint32_t as_policy, uint32_t flags)
{
    struct goalloc_options options = {.size = sizeof(options),
                                      .timeout_ms = 120000,
                                      .policy = as_policy,
                                      .report = on_report,
                                      .flags = flags};
    goalloc_detach(ga_heap);
    ga_heap = NULL;
    if (goalloc_attach(ga_world.socket, &options, &ga_heap) < 0)
        ga_account_complain(ga_account, "cannot attach again: %s", goalloc_attach_error());
}

const char *ga_actor_socket(void)
{
    return ga_world.socket;
}

/* In the child. */
static void become(const struct ga_crash_world *world, struct ga_account *account)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    ga_world = *world;
    ga_account = account;
    explorer = getppid();
}

/* The same for a victim or a driver, whose policy the scenario says. */
static void become_victim(const struct ga_crash_world *world, struct ga_account *account)
{
    become(world, account);
    policy = account->policy;
    if (policy == GOALLOC_POLICY_PRIVATE)
        ga_account_be_private();
}

/* ---- who is stuck ---- */

/* Wait until fd can be read. False where nothing comes: pid, or the server that it waits for, is
 * stuck. That is a fault to be told of, together with what both are at. */
static bool await_sign(const struct ga_crash_world *world, pid_t pid, int fd)
{
    struct pollfd sign = {.fd = fd, .events = POLLIN};
    int r;
    do
        r = poll(&sign, 1, ACTOR_MS);
    while (r < 0 && errno == EINTR);
    if (r != 0)
        return true;
    ga_stuck_tell(stderr, "an actor that is stuck", pid);
    ga_stuck_tell(stderr, "its server", world->server);
    return false;
}

/* ---- orders ---- */

extern void *__libc_stack_end; /* what lies from there on the kernel has written */

/* Clear what the explorer had on the stack, whose functions this process does not return to. If it
 * is managed, it is searched for pointers: to garbage, say, that was looked at in the run before.
 */
static void forget_explorer(uint64_t *from)
{
    for (volatile uint64_t *word = from; word < (uint64_t *)__libc_stack_end; word++)
        *word = 0;
}

static __attribute__((noinline, noreturn)) void obey(int channel, bool is_survivor)
{
    /* Its own return address, too. */
    forget_explorer((uint64_t *)__builtin_frame_address(0) + 2);
    ga_actor_attach();
    bool good = ga_heap != NULL;
    while (send(channel, &good, sizeof(good), MSG_NOSIGNAL) == sizeof(good)) {
        ga_actor_fn *function;
        if (recv(channel, &function, sizeof(function), 0) != sizeof(function))
            break;
        ga_account->by_survivor = is_survivor;
        if (function)
            function();
        ga_account->by_survivor = false;
    }
    _exit(0);
}

bool ga_actor_start(struct ga_actor *actor, const struct ga_crash_world *world,
                    struct ga_account *account, bool is_survivor)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    actor->pid = fork();
    if (actor->pid == 0) {
        close(ends[0]);
        if (is_survivor)
            become(world, account);
        else
            become_victim(world, account);
        obey(ends[1], is_survivor);
    }
    close(ends[1]);
    actor->channel = ends[0];
    actor->world = world;
    return actor->pid > 0 && ga_actor_await(actor);
}

bool ga_actor_begin(struct ga_actor *actor, ga_actor_fn *function)
{
    return send(actor->channel, &function, sizeof(function), MSG_NOSIGNAL) == sizeof(function);
}

bool ga_actor_await(struct ga_actor *actor)
{
    bool good = false;
    return await_sign(actor->world, actor->pid, actor->channel) &&
           recv(actor->channel, &good, sizeof(good), 0) == sizeof(good) && good;
}

bool ga_actor_do(struct ga_actor *actor, ga_actor_fn *function)
{
    return !function || (ga_actor_begin(actor, function) && ga_actor_await(actor));
}

/* Whether the process's first thread waits for another of its threads. */
static bool is_at_futex(pid_t pid)
{
    char text[64];
    snprintf(text, sizeof(text), "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(text, "re");
    bool there = file && fgets(text, sizeof(text), file) && strtol(text, NULL, 10) == SYS_futex;
    if (file)
        fclose(file);
    return there;
}

bool ga_actor_await_request(const struct ga_actor *actor)
{
    bool good;
    for (int ms = 0; ms < REQUEST_MS; ms++) {
        if (is_at_futex(actor->pid) ||
            recv(actor->channel, &good, sizeof(good), MSG_PEEK | MSG_DONTWAIT) > 0)
            return true;
        usleep(1000);
    }
    return false;
}

void ga_actor_lost(struct ga_actor *actor)
{
    if (actor->pid > 0)
        close(actor->channel);
    actor->pid = -1;
}

void ga_actor_kill(struct ga_actor *actor)
{
    if (actor->pid <= 0)
        return;
    kill(actor->pid, SIGKILL);
    waitpid(actor->pid, NULL, 0);
    ga_actor_lost(actor);
}

/* ---- victims ---- */

struct victim {
    ga_actor_fn *before;
    ga_actor_fn *operation;
};

static void *run_thread(void *data)
{
    const struct victim *victim = data;
    if (victim->before)
        victim->before();
    ga_trace_me();
    GA_CRASH_MARK();
    return NULL; /* what follows is the operation */
}

static __attribute__((noreturn)) void operate(ga_actor_fn *operation)
{
    ga_trace_me();
    GA_CRASH_MARK();
    operation();
    GA_CRASH_MARK();
    _exit(0);
}

static void run_victim(const struct victim *victim, bool by_thread)
{
    pthread_t thread;
    if (by_thread) {
        if (pthread_create(&thread, NULL, run_thread, (void *)victim) == 0)
            pthread_join(thread, NULL);
        pause();
    }
    if (victim->before)
        victim->before();
    operate(victim->operation);
}

pid_t ga_actor_start_victim(const struct ga_crash_world *world, struct ga_account *account,
                            ga_actor_fn *before, ga_actor_fn *operation, enum ga_victim_kind kind)
{
    bool attached = kind != GA_VICTIM_UNATTACHED;
    struct victim victim = {.before = before, .operation = operation};
    pid_t pid = fork();
    if (pid == 0) {
        become_victim(world, account);
        if (attached)
            ga_actor_attach();
        if (attached && !ga_heap)
            _exit(1);
        run_victim(&victim, kind == GA_VICTIM_THREAD);
    }
    return pid;
}

/* In the survivor. Only a parent can be asked to trace; so it forks one that forks the victim,
 * which is the explorer's when that one has ended. */
static void fork_victim(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        pid_t pid = fork();
        if (pid != 0) {
            ga_account->forked = pid;
            _exit(0);
        }
        while (getppid() != explorer)
            usleep(50);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        ga_account->by_survivor = false;
        operate(ga_account->operation);
    }
    waitpid(middle, NULL, 0);
}

pid_t ga_actor_fork_victim(struct ga_actor *survivor, struct ga_account *account,
                           ga_actor_fn *operation)
{
    account->operation = operation;
    account->forked = -1;
    return ga_actor_do(survivor, fork_victim) ? account->forked : -1;
}

/* Whether it ends, and well. */
static bool await_end(const struct ga_crash_world *world, pid_t pid)
{
    int status = 1;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0 && !await_sign(world, pid, pidfd))
        kill(pid, SIGKILL);
    close(pidfd);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

bool ga_actor_run(const struct ga_crash_world *world, struct ga_account *account,
                  ga_actor_fn *function)
{
    pid_t pid = fork();
    if (pid == 0) {
        become(world, account);
        ga_actor_attach();
        if (!ga_heap)
            _exit(1);
        function();
        goalloc_detach(ga_heap);
        _exit(0);
    }
    return pid > 0 && await_end(world, pid);
}

/* ---- for the functions ---- */

void *ga_actor_get(size_t bytes)
{
    void *p = goalloc_malloc(ga_heap, bytes);
    ga_account_keep(ga_account, p, bytes);
    return p;
}

void *ga_actor_get_noscan(size_t bytes)
{
    void *p = goalloc_alloc(ga_heap, bytes, 0, GOALLOC_NOSCAN);
    ga_account_keep(ga_account, p, bytes);
    return p;
}

void ga_actor_put(void *p)
{
    ga_account_leave(ga_account, p);
    goalloc_free(ga_heap, p);
    ga_account_drop(ga_account, p);
}

/* A class is looked at when 1 MiB of its spans, and more than it has, have become empty: here, each
 * 32nd. What it did not need from one look to the next goes back with the second. */
#define OUTGROWN 12u /* at once */
#define NEEDED   8u  /* from then on */
#define TIMES    7u  /* the look is within the time that follows */
static void *big[OUTGROWN];

static void get_big(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        big[i] = ga_actor_get(GA_ACTOR_BIG);
}

static void put_big(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        ga_actor_put(big[i]);
}

void ga_actor_outgrow(void)
{
    get_big(OUTGROWN);
    put_big(OUTGROWN);
    for (uint32_t i = 0; i < TIMES; i++) {
        get_big(NEEDED);
        put_big(NEEDED);
    }
    get_big(NEEDED);
}

void ga_actor_give_back(void)
{
    put_big(NEEDED);
}

bool ga_actor_is_sampled(const void *p)
{
    uint64_t word;
    return ga_sample_find(&ga_world.view, (uintptr_t)p - ga_world.view.meta->base, &word);
}

/* The mcache of this process that was given out last. */
static ga_mcache_id my_mcache(void)
{
    const struct ga_view *view = &ga_world.view;
    for (ga_mcache_id id = ga_load_acquire(&view->meta->mcache_end); --id > 0;) {
        uint32_t client = ga_load_acquire(&view->mcache_entries[id].client);
        if (client != 0 && view->clients[client - 1].pid == (uint32_t)getpid())
            return id;
    }
    return 0;
}

uint64_t ga_actor_ring_taken(void)
{
    return ga_load_acquire(&ga_world.view.mcaches[my_mcache()].ring_taken);
}

bool ga_actor_has_ring_entries(void)
{
    ga_mcache_id id = my_mcache();
    uint64_t next = ga_actor_ring_taken() + 1;
    uint64_t entry = ga_load_acquire(&ga_world.view.rings[id].entry[ga_ring_index(next)]);
    return ga_ring_sequence(entry) == next && ga_ring_state(entry) == GA_RING_READY;
}
