/* Collections of processes that run: what is moved from place to place all the while is never lost,
 * though only the pages that were written to tell of it; by who is collected, and by who is not.
 * And where that cannot be, all stand still, and the server says why. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/run.h"
#include "support/cunit_main.h"

#define CELLS                                                                                      \
    20000u /* of the table in which things are moved; much larger than what a cache has            \
            */
#define THINGS  2000u
#define BALLAST 400000u /* objects that take a while to be marked */
#define CYCLES  12u

struct thing {
    struct thing *tail; /* which nothing else points to */
    uint64_t number;
    uint64_t check;
};

/* Things are moved from cell to cell. */
struct cell {
    struct cell *next;
    struct thing *thing;
    uint64_t text[4];
};

static struct ga_daemon the_server;
static struct goalloc_heap *heap;
static struct ga_run run;
static atomic_bool over;

static void start(const char *option, const char *value)
{
    const char *arguments[] = {"--name",
                               ga_daemon_heap("concurrent"),
                               "--socket",
                               ga_daemon_path("sock"),
                               "--reserve",
                               "1G",
                               "--gc-percent",
                               "off",
                               option,
                               value,
                               NULL};
    CU_ASSERT_FATAL(ga_daemon_start(&the_server, 0, arguments));
    over = false;
}

static int attach(uint32_t flags)
{
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 60000, .flags = flags};
    return goalloc_attach(ga_daemon_path("sock"), &options, &heap);
}

static void open_heap(const char *option, const char *value)
{
    start(option, value);
    CU_ASSERT_EQUAL_FATAL(attach(GOALLOC_MANAGED), 0);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(ga_daemon_heap("concurrent")));
}

static bool collector_is(const char *text)
{
    const char *arguments[] = {"--socket", ga_daemon_path("sock"), "status", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    bool is = strstr(run.out, text);
    if (!is)
        printf("\nnot %s: %s\n", text, run.out);
    return is;
}

static uint64_t collect(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r;
    while ((r = goalloc_gc(heap, &result)) == -ECANCELED)
        poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(r, 0);
    return result.freed;
}

static struct thing *make_thing(uint64_t number)
{
    struct thing *thing = goalloc_malloc(heap, sizeof(*thing));
    struct thing *tail = goalloc_malloc(heap, sizeof(*tail));
    if (!thing || !tail)
        abort();
    *tail = (struct thing){.tail = NULL, .number = ~number, .check = number * 7};
    *thing = (struct thing){.tail = tail, .number = number, .check = number * 3};
    return thing;
}

static bool is_whole(const struct thing *thing)
{
    return thing->check == thing->number * 3 && thing->tail->number == ~thing->number &&
           thing->tail->check == thing->number * 7;
}

/* The list is published; what is returned leads to each cell, and is never looked into. */
static __attribute__((noinline)) struct cell **make_cells(void)
{
    struct cell **cells = goalloc_alloc(heap, CELLS * sizeof(*cells), 0, GOALLOC_NOSCAN);
    struct cell *first = NULL;
    if (!cells || goalloc_publish(heap, "cells", cells) < 0)
        abort();
    for (unsigned i = CELLS; i-- > 0;) {
        cells[i] = goalloc_calloc(heap, 1, sizeof(**cells));
        if (!cells[i])
            abort();
        cells[i]->next = first;
        first = cells[i];
        if (i % (CELLS / THINGS) == 0)
            first->thing = make_thing(i / (CELLS / THINGS));
    }
    if (goalloc_publish(heap, "list", first) < 0)
        abort();
    return cells;
}

static uint32_t random_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(ga_test_random(state) % n);
}

/* Move things from cell to cell, so that there is but one pointer to each, until told to end; some
 * of them are made anew. How many were found broken. */
static uint64_t move(struct cell **cells)
{
    uint64_t state = ga_test_seed();
    uint64_t nbroken = 0;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        uint32_t from = random_below(&state, CELLS);
        uint32_t to = random_below(&state, CELLS);
        if (!cells[from]->thing || cells[to]->thing)
            continue;
        cells[to]->thing = cells[from]->thing;
        cells[from]->thing = NULL;
        nbroken += !is_whole(cells[to]->thing);
        if (to % 16 == 0)
            cells[to]->thing = make_thing(cells[to]->thing->number);
    }
    return nbroken;
}

static uint64_t count_whole(struct cell **cells)
{
    uint64_t seen = 0;
    uint64_t sum = 0;
    for (unsigned i = 0; i < CELLS; i++) {
        if (!cells[i]->thing || !is_whole(cells[i]->thing))
            continue;
        seen++;
        sum += cells[i]->thing->number;
    }
    CU_ASSERT_EQUAL(sum, (uint64_t)THINGS * (THINGS - 1) / 2);
    return seen;
}

static void *move_on_thread(void *argument)
{
    return (void *)(uintptr_t)move(argument);
}

/* ---- nothing is lost ---- */

static void moved_by_a_thread(void)
{
    open_heap(NULL, NULL);
    pthread_t thread;
    struct cell **cells = make_cells();
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, move_on_thread, cells), 0);
    uint64_t freed = 0;
    for (unsigned i = 0; i < CYCLES; i++)
        freed += collect();
    over = true;
    void *nbroken = NULL;
    pthread_join(thread, &nbroken);
    CU_ASSERT_PTR_NULL(nbroken);
    CU_ASSERT_EQUAL(count_whole(cells), THINGS);
    CU_ASSERT(freed > 0);
    CU_ASSERT(collector_is("concurrent"));
    close_heap();
}

/* One of a process that is not collected holds what it moves, meanwhile. */
static bool hold_and_move(struct cell **cells, uint32_t from, uint32_t to)
{
    struct thing *thing = cells[from]->thing;
    if (!thing || cells[to]->thing)
        return true;
    if (goalloc_hold(heap, thing) < 0)
        return false;
    cells[to]->thing = thing;
    cells[from]->thing = NULL;
    return is_whole(thing) && goalloc_release(heap, thing) == 0;
}

/* A child that moves until it is told to end, says when it has begun, and sleeps when it has ended.
 */
static void move_in_child(int from, int to)
{
    char said;
    void *found = NULL;
    uint64_t state = ga_test_seed();
    bool is_right = attach(0) == 0 && goalloc_lookup(heap, "cells", &found) == 0 &&
                    write(to, "1", 1) == 1 && fcntl(from, F_SETFL, O_NONBLOCK) == 0;
    while (is_right && read(from, &said, 1) < 0)
        is_right = hold_and_move(found, random_below(&state, CELLS), random_below(&state, CELLS));
    if (write(to, is_right ? "1" : "0", 1) != 1)
        _exit(1);
    fcntl(from, F_SETFL, 0);
    while (read(from, &said, 1) == 1)
        continue;
    _exit(0);
}

struct child {
    pid_t pid;
    int to;
    int from;
};

/* Before this process has attached. */
static struct child start_child(void (*be)(int from, int to))
{
    int to[2];
    int from[2];
    CU_ASSERT_FATAL(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    struct child child = {.pid = fork(), .to = to[1], .from = from[0]};
    if (child.pid == 0) {
        close(to[1]);
        close(from[0]);
        char said;
        if (read(to[0], &said, 1) == 1)
            be(to[0], from[1]);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    return child;
}

static void tell(const struct child *child)
{
    CU_ASSERT_EQUAL(write(child->to, "1", 1), 1);
}

static bool hears(const struct child *child)
{
    char said = '0';
    return read(child->from, &said, 1) == 1 && said == '1';
}

static void end_child(const struct child *child)
{
    int status = -1;
    close(child->to);
    close(child->from);
    CU_ASSERT_EQUAL(waitpid(child->pid, &status, 0), child->pid);
    CU_ASSERT_EQUAL(status, 0);
    if (status)
        printf("\nit ended with %#x\n", status);
}

static void moved_by_another(void)
{
    start(NULL, NULL);
    struct child child = start_child(move_in_child);
    CU_ASSERT_EQUAL_FATAL(attach(GOALLOC_MANAGED), 0);
    struct cell **cells = make_cells();
    tell(&child);
    CU_ASSERT(hears(&child));
    for (unsigned i = 0; i < CYCLES; i++)
        (void)collect();
    CU_ASSERT(collector_is("concurrent"));
    tell(&child);
    CU_ASSERT(hears(&child));
    CU_ASSERT_EQUAL(count_whole(cells), THINGS);
    end_child(&child);
    close_heap();
}

/* ---- where it cannot be ---- */

static __attribute__((noinline)) void make_garbage(void)
{
    for (unsigned i = 0; i < 100; i++)
        if (!goalloc_malloc(heap, 40))
            abort();
}

static void all_stand_still(const char *why)
{
    make_garbage();
    CU_ASSERT(collect() > 50);
    CU_ASSERT(collector_is(why));
}

static void as_asked_for(void)
{
    open_heap("--gc-mode", "stop");
    all_stand_still("stops processes, as asked for");
    close_heap();
}

static void sit(int from, int to)
{
    char said;
    if (attach(0) < 0 || write(to, "1", 1) != 1)
        _exit(1);
    while (read(from, &said, 1) == 1)
        continue;
    _exit(0);
}

/* Who is not collected need not stand still, but must say what he writes. */
static void another_is_stopped(void)
{
    start("--gc-mode", "concurrent");
    struct child child = start_child(sit);
    CU_ASSERT_EQUAL_FATAL(attach(GOALLOC_MANAGED), 0);
    tell(&child);
    CU_ASSERT(hears(&child));
    CU_ASSERT(collect() == 0 && collector_is("concurrent"));
    kill(child.pid, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(child.pid, NULL, WUNTRACED), child.pid);
    all_stand_still("it is stopped by a signal, or a debugger");
    kill(child.pid, SIGCONT);
    make_garbage();
    CU_ASSERT(collect() > 50);
    CU_ASSERT(collector_is("concurrent"));
    end_child(&child);
    close_heap();
}

/* A process that executes another program has no connection any more; that it has no heap either
 * the server cannot know. */
static void become_cat(int from, int to)
{
    if (attach(0) < 0 || dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0)
        _exit(1);
    execlp("cat", "cat", (char *)NULL);
    _exit(1);
}

static void another_is_not_reached(void)
{
    start(NULL, NULL);
    struct child child = start_child(become_cat);
    CU_ASSERT_EQUAL_FATAL(attach(GOALLOC_MANAGED), 0);
    tell(&child);
    tell(&child);
    CU_ASSERT(hears(&child)); /* by cat */
    all_stand_still("it has no connection to the server");
    end_child(&child);
    close_heap();
}

/* Processes come and go all the time. */
static void come_and_go(int from, int to)
{
    char said;
    bool is_right = write(to, "1", 1) == 1 && fcntl(from, F_SETFL, O_NONBLOCK) == 0;
    while (is_right && read(from, &said, 1) < 0) {
        void *found = NULL;
        pid_t pid = fork();
        if (pid == 0 && attach(0) == 0 && goalloc_lookup(heap, "cells", &found) == 0)
            _exit(hold_and_move(found, CELLS - 1, 1) && hold_and_move(found, 0, CELLS - 1) ? 0 : 1);
        int status = -1;
        is_right = waitpid(pid, &status, 0) == pid && status == 0;
    }
    if (write(to, is_right ? "1" : "0", 1) != 1)
        _exit(1);
    fcntl(from, F_SETFL, 0);
    while (read(from, &said, 1) == 1)
        continue;
    _exit(0);
}

static void others_come_and_go(void)
{
    start(NULL, NULL);
    struct child child = start_child(come_and_go);
    CU_ASSERT_EQUAL_FATAL(attach(GOALLOC_MANAGED), 0);
    struct cell **cells = make_cells();
    tell(&child);
    CU_ASSERT(hears(&child));
    for (unsigned i = 0; i < CYCLES; i++)
        (void)collect();
    tell(&child);
    CU_ASSERT(hears(&child));
    CU_ASSERT_EQUAL(count_whole(cells), THINGS);
    end_child(&child);
    close_heap();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"moved by a thread", moved_by_a_thread},
        {"moved by another", moved_by_another},
        {"as asked for", as_asked_for},
        {"another is stopped", another_is_stopped},
        {"another is not reached", another_is_not_reached},
        {"others come and go", others_come_and_go},
    };
    int r = ga_test_main("integration.concurrent", tests, sizeof(tests) / sizeof(tests[0]));
    int nleft = ga_daemon_clean_up();
    return r ? r : nleft != 0;
}
