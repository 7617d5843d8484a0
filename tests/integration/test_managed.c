/* Managed processes: what nothing reaches goes without a free, and what a register, a stack, static
 * data, malloc's memory or another managed process points to stays. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/managed_fixture.h"
#include "integration/run.h"
#include "support/cunit_main.h"

#define COUNT(a)   (sizeof(a) / sizeof(*(a)))
#define PUBLISHERS 12
#define PUBLISHED  200u
#define CYCLES     20

static struct managed_node *in_static_data;

/* ---- what stays ---- */

static void what_is_reached_stays(void)
{
    managed_open("256M");
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, managed_keep_on_stack, NULL), 0);
    while (managed_nready == 0)
        sched_yield();
    in_static_data = managed_make_list(MANAGED_LIST);
    struct managed_node **in_malloc = malloc(sizeof(*in_malloc));
    *in_malloc = managed_make_list(MANAGED_LIST);
    char *interior = (char *)managed_make_list(MANAGED_LIST) + 20;
    struct managed_node *of_large = goalloc_malloc(managed_heap, 100000);
    of_large->next = managed_make_list(MANAGED_LIST);
    struct managed_node *published = goalloc_malloc(managed_heap, sizeof(*published));
    published->next = managed_make_list(MANAGED_LIST);
    CU_ASSERT_EQUAL(goalloc_publish(managed_heap, "root", published), 0);
    published = NULL;
    for (int cycle = 0; cycle < CYCLES; cycle++)
        managed_collect_garbage();
    CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    CU_ASSERT(managed_is_whole(*in_malloc, MANAGED_LIST));
    CU_ASSERT(managed_is_whole((struct managed_node *)(void *)(interior - 20), MANAGED_LIST));
    CU_ASSERT(managed_is_whole(of_large->next, MANAGED_LIST));
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_lookup(managed_heap, "root", &found), 0);
    CU_ASSERT(found && managed_is_whole(((struct managed_node *)found)->next, MANAGED_LIST));
    managed_over = true;
    void *whole = NULL;
    pthread_join(thread, &whole);
    CU_ASSERT_PTR_NOT_NULL(whole);
    free(in_malloc);
    in_static_data = NULL;
    managed_close();
}

/* ---- several processes ---- */

static void another_process_keeps_it(void)
{
    managed_open("256M");
    managed_publish_list();
    struct managed_peer peer = managed_start_peer(managed_be_a_peer);
    CU_ASSERT(managed_hears(&peer));
    for (int cycle = 0; cycle < CYCLES; cycle++)
        managed_collect_garbage();
    CU_ASSERT_EQUAL(write(peer.to, "?", 1), 1);
    CU_ASSERT(managed_hears(&peer));
    managed_end_peer(&peer);
    /* Nobody else reached what it had of its own. */
    CU_ASSERT(managed_collect_at_last() >= MANAGED_LIST);
    managed_close();
}

/* ---- what is on its way to the server ---- */

static atomic_uint nlost;

static __attribute__((noinline)) bool publish_new(const char *name, uint64_t number)
{
    struct managed_node *node = managed_make_list(1);
    node->number = number;
    return goalloc_publish(managed_heap, name, node) == 0;
}

/* What the thread's stack keeps of it is overwritten. */
static __attribute__((noinline)) void forget(void)
{
    volatile uint64_t frame[512];
    for (unsigned i = 0; i < COUNT(frame); i++)
        frame[i] = 0;
}

static __attribute__((noinline)) bool finds(const char *name, uint64_t number)
{
    void *found = NULL;
    return goalloc_lookup(managed_heap, name, &found) == 0 &&
           ((struct managed_node *)found)->number == number;
}

/* More threads than may change names at once (change.c), so some wait with what they publish. */
static void *publish_again_and_again(void *argument)
{
    const char *name = argument;
    for (uint64_t i = 1; i <= PUBLISHED; i++) {
        bool published = publish_new(name, i << 32);
        forget();
        for (unsigned more = 0; more < 100; more++)
            (void)managed_make_list(1);
        if (!published || !finds(name, i << 32) || goalloc_unpublish(managed_heap, name) < 0)
            nlost++;
    }
    return NULL;
}

static void published_while_it_is_collected(void)
{
    static char names[PUBLISHERS][2];
    pthread_t publishers[PUBLISHERS];
    pthread_t collector;
    managed_open("256M");
    nlost = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&collector, NULL, managed_collect_until_over, NULL), 0);
    for (int i = 0; i < PUBLISHERS; i++) {
        names[i][0] = (char)('a' + i);
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&publishers[i], NULL, publish_again_and_again, names[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(publishers[i], NULL);
    managed_over = true;
    pthread_join(collector, NULL);
    CU_ASSERT_EQUAL(nlost, 0);
    managed_close();
}

/* ---- what is shown ---- */

static void shown_as_managed(void)
{
    managed_open("256M");
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(managed_heap, &stats), 0);
    CU_ASSERT(stats.num_gc == 0 && stats.last_gc == 0 && stats.pause_total_ns == 0);
    CU_ASSERT_EQUAL(stats.next_gc, UINT64_C(4) << 20);
    in_static_data = goalloc_malloc(managed_heap, 16 << 20);
    (void)managed_collect();
    (void)managed_collect();
    CU_ASSERT_EQUAL(goalloc_memstats(managed_heap, &stats), 0);
    CU_ASSERT(stats.num_gc >= 2 && stats.last_gc > 0);
    CU_ASSERT(stats.pause_ns > 0 && stats.pause_total_ns > stats.pause_ns);
    CU_ASSERT(stats.next_gc >= UINT64_C(32) << 20 && stats.next_gc < UINT64_C(34) << 20);
    in_static_data = NULL;

    struct ga_run run = {0};
    const char *const stats_arguments[] = {"--socket", managed_server.socket, "stats", NULL};
    CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH, stats_arguments));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "collected"));
    const char *const arguments[] = {"--socket", managed_server.socket, "clients", NULL};
    CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH, arguments));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "keep,managed"));
    ga_run_fini(&run);
    managed_close();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"what is reached stays", what_is_reached_stays},
        {"another process keeps it", another_process_keeps_it},
        {"published while it is collected", published_while_it_is_collected},
        {"shown as managed", shown_as_managed},
    };
    return ga_test_main("integration.managed", tests, COUNT(tests));
}
