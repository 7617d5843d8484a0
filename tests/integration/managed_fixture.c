#include "integration/managed_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cunit_main.h"

#define GARBAGE 5000u
#define SHORT   5
#define LUCK    64u /* objects of the garbage that a stale word may keep */

struct ga_test_server managed_server;
struct goalloc_heap *managed_heap;
atomic_bool managed_over;
atomic_int managed_nready;

int managed_attach(uint32_t flags, uint32_t signal_number, struct goalloc_heap **ret)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 60000, .flags = flags, .stop_signal = signal_number};
    return goalloc_attach(managed_server.socket, &options, ret);
}

void managed_open(const char *limit)
{
    CU_ASSERT_FATAL(ga_test_server_start(limit, &managed_server));
    CU_ASSERT_EQUAL_FATAL(managed_attach(GOALLOC_MANAGED, 0, &managed_heap), 0);
    managed_over = false;
    managed_nready = 0;
}

void managed_close(void)
{
    goalloc_detach(managed_heap);
    CU_ASSERT(ga_test_server_stop(&managed_server));
}

struct managed_node *managed_make_list(int length)
{
    struct managed_node *list = NULL;
    for (int i = 0; i < length; i++) {
        struct managed_node *node = goalloc_malloc(managed_heap, sizeof(*node));
        if (!node)
            abort();
        node->next = list;
        node->number = (uint64_t)i;
        memset(node->text, i, sizeof(node->text));
        list = node;
    }
    return list;
}

bool managed_is_whole(const struct managed_node *list, int length)
{
    for (int i = length - 1; i >= 0; i--, list = list->next)
        if (!list || list->number != (uint64_t)i || list->text[39] != (char)i)
            return false;
    return list == NULL;
}

/* In short lists and rings, so that a word that is left keeps few. */
void managed_make_garbage(void)
{
    for (unsigned i = 0; i < GARBAGE / SHORT; i++) {
        struct managed_node *list = managed_make_list(SHORT);
        if (i % 2)
            list->next->next = list;
    }
    for (unsigned i = 0; i < 100; i++)
        if (!goalloc_malloc(managed_heap, 1000 + i * 700) ||
            !goalloc_alloc(managed_heap, 10, 0, GOALLOC_NOSCAN))
            abort();
}

struct goalloc_gc_result managed_collect(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r = goalloc_gc(managed_heap, &result);
    CU_ASSERT_EQUAL(r, 0);
    if (r < 0)
        fprintf(stderr, "goalloc_gc: %s: %s\n", goalloc_strerror(r), result.failure);
    return result;
}

uint64_t managed_collect_at_last(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r;
    while ((r = goalloc_gc(managed_heap, &result)) == -ECANCELED)
        poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(r, 0);
    return result.freed;
}

uint64_t managed_objects(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(managed_heap, &stats), 0);
    return stats.heap_objects;
}

/* Garbage goes, all but what luck keeps; some of it perhaps in a cycle that comes by itself. */
void managed_collect_garbage(void)
{
    uint64_t before = managed_objects();
    managed_make_garbage();
    struct goalloc_gc_result result = managed_collect();
    uint64_t now = managed_objects();
    CU_ASSERT(now <= before + LUCK);
    CU_ASSERT_EQUAL(result.freed, result.garbage);
    if (now > before + LUCK)
        printf("\n%lu objects more are there, and %lu were freed\n", now - before, result.freed);
}

void *managed_keep_on_stack(void *argument)
{
    (void)argument;
    struct managed_node *list = managed_make_list(MANAGED_LIST);
    managed_nready++;
    while (!managed_over)
        poll(NULL, 0, 1);
    return (void *)(uintptr_t)managed_is_whole(list, MANAGED_LIST);
}

void managed_be_a_peer(int from, int to)
{
    char said;
    void *found = NULL;
    struct managed_node *own = managed_make_list(MANAGED_LIST); /* which nobody else ever sees */
    if (goalloc_lookup(managed_heap, "list", &found) < 0 ||
        goalloc_unpublish(managed_heap, "list") < 0 || write(to, "1", 1) != 1 ||
        read(from, &said, 1) != 1)
        _exit(1);
    bool whole = managed_is_whole(found, MANAGED_LIST) && managed_is_whole(own, MANAGED_LIST);
    if (write(to, whole ? "1" : "0", 1) != 1)
        _exit(1);
    while (read(from, &said, 1) == 1)
        continue;
    _exit(0);
}

struct managed_peer managed_start_peer(void (*be)(int from, int to))
{
    int to[2];
    int from[2];
    CU_ASSERT_FATAL(pipe(to) == 0 && pipe(from) == 0);
    struct managed_peer peer = {.pid = fork(), .to = to[1], .from = from[0]};
    if (peer.pid == 0) {
        close(to[1]);
        close(from[0]);
        be(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return peer;
}

bool managed_hears(const struct managed_peer *peer)
{
    char said = '0';
    return read(peer->from, &said, 1) == 1 && said == '1';
}

void managed_end_peer(const struct managed_peer *peer)
{
    close(peer->to);
    close(peer->from);
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(peer->pid, &status, 0), peer->pid);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void managed_publish_list(void)
{
    CU_ASSERT_EQUAL(goalloc_publish(managed_heap, "list", managed_make_list(MANAGED_LIST)), 0);
}

void *managed_collect_until_over(void *argument)
{
    (void)argument;
    managed_nready++;
    while (!managed_over) {
        managed_make_garbage();
        (void)goalloc_gc(managed_heap, NULL);
    }
    return NULL;
}
