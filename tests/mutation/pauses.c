#include "pauses.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "deeds.h"
#include "driver.h"
#include "reach.h"
#include "support/inventory.h"

enum {
    REST_US = 500,
    CYCLES = 2,        /* within which all garbage must be found */
    LUCKY_EACH = 2,    /* words of a thread that may keep garbage */
    DISTURBED = 3,     /* one pause of so many has a collection that is disturbed */
    DISTURB_US = 4000, /* after its beginning, at most */
};

static struct reach reach;

static void wait_until_still(uint32_t client, uint32_t thread, uint64_t end)
{
    const struct shadow_thread *t = &driver.shadow->thread[client][thread];
    while (atomic_load(&t->parked) != driver.siege.npauses) {
        ga_siege_see_alive(&driver.siege, client);
        if (ga_siege_now_ms() > end)
            ga_siege_fail(&driver.siege,
                          "thread %u of client %u (process %d) does not stand still: it %s", thread,
                          client, driver.siege.workers[client], deed_text(atomic_load(&t->doing)));
        usleep(REST_US);
    }
}

static void wait_until_all_still(void)
{
    uint64_t end = ga_siege_now_ms() + DRIVER_PATIENCE_MS;
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        for (uint32_t t = 0; t < driver.shadow->nthreads; t++)
            wait_until_still(c, t, end);
}

/* ---- collections ---- */

/* Somebody is killed, or stopped, somewhere in a cycle. */
static void disturb_a_cycle(void)
{
    pid_t ctl = driver_begin_ctl_gc();
    usleep((useconds_t)ga_siege_below(&driver.siege, DISTURB_US));
    switch (ga_siege_below(&driver.siege, 3)) {
    case 0:
        ga_siege_kill_server(&driver.siege);
        break;
    case 1:
        driver_kill_client(ga_siege_below(&driver.siege, SHADOW_CLIENTS));
        break;
    default:
        driver_stop_client_for_a_while(ga_siege_below(&driver.siege, SHADOW_CLIENTS));
    }
    driver_end_ctl_gc(ctl);
    wait_until_all_still();
}

/* A cycle that nobody disturbs; but what was killed before may not have been taken back. */
static void collect(struct pauses *pauses)
{
    uint64_t end = ga_siege_now_ms() + DRIVER_PATIENCE_MS;
    for (;;) {
        struct goalloc_gc_result result = {.size = sizeof(result)};
        int r = goalloc_gc(driver.heap, &result);
        pauses->ncollected += result.freed;
        if (r == 0)
            return;
        if (r != -ECANCELED && r != -ENOTCONN && r != -ETIMEDOUT)
            ga_siege_fail(&driver.siege, "collection: %s", goalloc_strerror(r));
        if (ga_siege_now_ms() > end)
            ga_siege_fail(&driver.siege, "no collection comes to its end: %s; %s",
                          goalloc_strerror(r), result.failure);
        usleep(REST_US);
    }
}

/* ---- what the driver frees ---- */

static void *free_all(void *argument)
{
    const struct ga_inventory *objects = argument;
    for (size_t i = 0; i < objects->count; i++)
        goalloc_free(driver.heap, objects->objects[i].object);
    return NULL;
}

/* By a thread that ends, so that nothing stays in a batch. */
static void free_here(struct pauses *pauses, struct ga_inventory *objects)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_all, objects) != 0)
        ga_siege_fail(&driver.siege, "no thread");
    pthread_join(thread, NULL);
    pauses->nfreed += objects->count;
    objects->count = 0;
}

/* Objects that nobody knows and nobody collects. */
static void free_uncollected(struct pauses *pauses)
{
    struct ga_inventory known;
    reach_take_uncollected(&reach, &known);
    free_here(pauses, &known);
    free(known.objects);
}

/* ---- */

static void take_inventory(struct ga_inventory *ret)
{
    int64_t nfaults = ga_inventory_take(driver.siege.heap_name, SHADOW_CLIENTS + 1, ret);
    if (nfaults != 0)
        ga_siege_fail(&driver.siege, "the audit finds %lld faults", (long long)nfaults);
}

/* What is reachable is there; *ret_rest is what else is. */
static void compare(struct pauses *pauses, struct ga_inventory *ret_rest)
{
    take_inventory(ret_rest);
    uint64_t nfaults = reach_check(&reach, ret_rest);
    if (nfaults != 0)
        ga_siege_fail(&driver.siege, "%llu objects are not as they should be",
                      (unsigned long long)nfaults);
    pauses->nkept += reach.nkept;
    reach_rest(&reach, ret_rest);
}

/* What is left after the collections is what nobody can know of, and what words keep that happen to
 * look like pointers: those of managed processes, which are scanned. */
static void judge_rest(struct pauses *pauses, const struct ga_inventory *rest)
{
    uint64_t lucky = reach_lucky(rest);
    uint64_t most = driver.nunknown;
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        if (driver.shadow->kind[c] == SHADOW_MANAGED)
            most += (uint64_t)driver.shadow->nthreads * LUCKY_EACH;
    pauses->nlucky += lucky;
    pauses->nleft += rest->count;
    if (lucky > pauses->nlucky_most)
        pauses->nlucky_most = lucky;
    if (lucky <= most)
        return;
    reach_tell_rest(&reach, rest);
    ga_siege_fail(
        &driver.siege,
        "%llu words would be needed to keep %zu objects that nothing reaches; there may be "
        "%llu",
        (unsigned long long)lucky, rest->count, (unsigned long long)most);
}

static void find(void)
{
    if (reach_find(&reach) != 0)
        ga_siege_fail(&driver.siege, "the shadow does not go with the heap");
}

void pauses_take(struct pauses *pauses)
{
    struct ga_inventory rest;
    reach.shadow = driver.shadow;
    reach.heap = driver.heap;
    reach.heap_name = driver.siege.heap_name;
    atomic_store(&driver.shadow->pause, ++driver.siege.npauses);
    wait_until_all_still();
    find();
    compare(pauses, &rest);
    if (driver.shadow->collected) {
        free(rest.objects);
        if (ga_siege_below(&driver.siege, DISTURBED) == 0)
            disturb_a_cycle();
        find();
        free_uncollected(pauses);
        find();
        for (int i = 0; i < CYCLES; i++)
            collect(pauses);
        compare(pauses, &rest);
        judge_rest(pauses, &rest);
    } else {
        /* The test collects: so a shadow that takes something for unreachable that is not, is
         * found. */
        free_here(pauses, &rest);
    }
    reach_forget(&reach, &rest);
    free(rest.objects);
    atomic_store(&driver.shadow->pause, 0);
}
