/* The storm: clients of several threads at work in one heap, each of them killed again and again,
 * and the server too. At the end the account must close: what the ledger has is in use and intact,
 * what else is in use was in a dead thread's hands, and the audit finds no fault. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "inventory.h"
#include "ledger.h"
#include "support/cunit_main.h"
#include "support/siege.h"
#include "support/siege_options.h"
#include "worker.h"

static_assert((int)STORM_CLIENTS_MAX <= (int)GA_SIEGE_WORKERS_MAX, "each has a place");

enum { END_S = 120 }; /* how long clients may take to end: longer than any call waits */

struct storm {
    uint32_t seconds;
    uint32_t kill_ms;   /* a client is killed so often */
    uint32_t server_ms; /* the server is */
    struct ga_siege siege;
    struct storm_ledger *ledger;
    int64_t stopped; /* a client that is stopped for a while, or -1 */
    struct storm_doubts doubts;
    uint64_t nstops;
};

static struct storm storm = {.seconds = 600, .kill_ms = 50, .server_ms = 2000, .stopped = -1};

/* ---- processes ---- */

/* The client is dead: note what it had in its hands. */
static void resolve(uint32_t client, struct storm_entry *e)
{
    uint64_t word = atomic_load(&e->state);
    uint8_t *object = atomic_load(&e->object);
    if (storm_client_of(word) != client)
        return;
    enum storm_state next = STORM_EMPTY;
    switch (storm_state_of(word)) {
    case STORM_ALLOCATING:
        storm.doubts.unknown += object == NULL;
        next = object ? STORM_UNFILLED : STORM_EMPTY;
        break;
    case STORM_RESIZING:
        storm.doubts.unknown++; /* the old one, or the new one, or both */
        storm_doubt(&storm.doubts, object);
        break;
    case STORM_FREEING:
        storm_doubt(&storm.doubts, object);
        break;
    case STORM_NAMING:
        next = STORM_LIVE;
        break;
    default:
        return;
    }
    atomic_store(&e->state, storm_word(next, 0));
}

static void resolve_all(uint32_t client)
{
    for (uint32_t i = 0; i < storm.ledger->nclients; i++)
        for (uint32_t t = 0; t < storm.ledger->nthreads; t++)
            for (uint32_t n = 0; n < STORM_ENTRIES; n++)
                resolve(client, &storm.ledger->entry[i][t][n]);
}

static void kill_client(uint32_t client)
{
    ga_siege_kill_worker(&storm.siege, client);
    resolve_all(client);
    ga_siege_start_worker(&storm.siege, client);
}

/* A client is stopped until the next comes: nobody may take that for its death. */
static void stop_client(uint32_t client)
{
    if (storm.stopped >= 0)
        kill(storm.siege.workers[storm.stopped], SIGCONT);
    storm.stopped = client;
    kill(storm.siege.workers[client], SIGSTOP);
    storm.nstops++;
}

/* ---- the course of it ---- */

/* When the next kill is due; those that were missed, since a death takes its time, are not made up
 * for. */
static uint64_t due_after(uint64_t last, uint32_t every_ms)
{
    uint64_t now = ga_siege_now_ms();
    return last + every_ms > now ? last + every_ms : now;
}

static void rage(void)
{
    uint64_t start = ga_siege_now_ms();
    uint64_t next_client = start;
    uint64_t next_server = start + storm.server_ms;
    while (ga_siege_now_ms() < start + storm.seconds * UINT64_C(1000)) {
        next_client = due_after(next_client, storm.kill_ms);
        while (ga_siege_now_ms() < next_client)
            usleep(1000);
        uint64_t r = ga_test_random(&storm.siege.random);
        uint32_t client = (uint32_t)(r % storm.ledger->nclients);
        if ((r >> 32) % 10 == 0)
            stop_client(client);
        else
            kill_client(client); /* also one that is stopped */
        if (storm.server_ms && ga_siege_now_ms() >= next_server) {
            ga_siege_kill_server(&storm.siege);
            next_server = due_after(next_server, storm.server_ms);
        }
    }
}

/* The clients that are left end by themselves, all of them. */
static void calm_down(void)
{
    atomic_store(&storm.ledger->stop, 1);
    if (storm.stopped >= 0)
        kill(storm.siege.workers[storm.stopped], SIGCONT);
    uint64_t end = ga_siege_now_ms() + END_S * UINT64_C(1000);
    for (uint32_t i = 0; i < storm.ledger->nclients; i++) {
        if (!ga_siege_await_worker(&storm.siege, i, end))
            ga_siege_fail(&storm.siege, "client %u does not end", i);
        resolve_all(i);
    }
}

/* Check each object of the ledger, and free all there are. */
static uint64_t free_all(struct goalloc_heap *heap, const struct ga_inventory *inventory)
{
    uint64_t damaged = 0;
    for (uint32_t i = 0; i < storm.ledger->nclients; i++)
        for (uint32_t t = 0; t < storm.ledger->nthreads; t++)
            for (uint32_t n = 0; n < STORM_ENTRIES; n++) {
                const struct storm_entry *e = &storm.ledger->entry[i][t][n];
                if (storm_state_of(atomic_load(&e->state)) != STORM_LIVE ||
                    storm_is_intact(e->object, e->bytes, e->seed))
                    continue;
                char text[STORM_TEXT_BYTES];
                fprintf(stderr, "at the end: not as it was left: %s\n",
                        storm_entry_text(storm.ledger, e, text));
                damaged++;
            }
    for (size_t i = 0; i < inventory->count; i++)
        goalloc_free(heap, inventory->objects[i].object);
    return damaged;
}

static int judge(void)
{
    struct goalloc_heap *heap;
    struct goalloc_options options = {.size = sizeof(options)};
    if (goalloc_attach(storm.siege.socket, &options, &heap) < 0)
        ga_siege_fail(&storm.siege, "%s", goalloc_attach_error());
    struct ga_inventory inventory;
    int64_t nfaults = ga_inventory_take(storm.siege.heap_name, 1, &inventory);
    struct storm_outcome o =
        storm_compare(storm.siege.heap_name, storm.ledger, &inventory, &storm.doubts);
    uint64_t damaged = atomic_load(&storm.ledger->damaged) + free_all(heap, &inventory);
    goalloc_detach(heap);
    struct ga_inventory rest;
    int64_t nfaults_empty = ga_inventory_take(storm.siege.heap_name, 0, &rest);
    uint64_t reports = atomic_load(&storm.ledger->reports);
    printf("%llu operations, %llu without memory or server; killed: %llu clients, %llu servers; "
           "%llu stops\n"
           "live %llu, lost %llu, damaged %llu, refused %llu; in dead hands %llu and %llu of at "
           "most %llu; faults %lld, %lld when empty, with %zu objects\n",
           (unsigned long long)atomic_load(&storm.ledger->operations),
           (unsigned long long)atomic_load(&storm.ledger->failed),
           (unsigned long long)storm.siege.nworkers_killed,
           (unsigned long long)storm.siege.nservers_killed, (unsigned long long)storm.nstops,
           (unsigned long long)o.live, (unsigned long long)o.lost, (unsigned long long)damaged,
           (unsigned long long)reports, (unsigned long long)o.doubted,
           (unsigned long long)o.unknown, (unsigned long long)storm.doubts.unknown,
           (long long)nfaults, (long long)nfaults_empty, rest.count);
    free(inventory.objects);
    free(rest.objects);
    free(storm.doubts.objects);
    uint64_t none;
    bool good = ga_siege_print_log(&storm.siege, NULL, &none) == 0 && nfaults == 0 &&
                nfaults_empty == 0 && o.lost == 0 && damaged == 0 && reports == 0 &&
                o.unknown <= storm.doubts.unknown && rest.count == 0 && o.live > 0;
    return good ? 0 : 1;
}

static void read_options(int argc, char **argv, uint32_t *ret_clients, uint32_t *ret_threads)
{
    const struct ga_siege_option options[] = {
        {"seconds", 1, 1000000, .ret = &storm.seconds},
        {"clients", 1, STORM_CLIENTS_MAX, .ret = ret_clients},
        {"threads", 1, STORM_THREADS_MAX, .ret = ret_threads},
        {"kill-ms", 1, 1000000, .ret = &storm.kill_ms},
        {"server-ms", 0, 1000000, .ret = &storm.server_ms},
    };
    ga_siege_read_options("storm",
                          "usage: storm [--seconds N] [--clients N] [--threads N] [--kill-ms N] "
                          "[--server-ms N, 0 = never]\n",
                          options, sizeof(options) / sizeof(options[0]), argc, argv);
}

int main(int argc, char **argv)
{
    if (argc == GA_SIEGE_WORKER_ARGC && strcmp(argv[1], "worker") == 0)
        return storm_work(argv);
    uint32_t nclients = 16;
    uint32_t nthreads = 4;
    read_options(argc, argv, &nclients, &nthreads);
#ifdef __SANITIZE_THREAD__
    nthreads = 1; /* it does not see what goes from thread to thread by way of another process */
#endif
    int fd;
    storm.ledger = storm_ledger_make(&fd);
    storm.ledger->nclients = nclients;
    storm.ledger->nthreads = nthreads;
    ga_siege_begin(&storm.siege, "storm", fd);
    snprintf(storm.ledger->socket, sizeof(storm.ledger->socket), "%s", storm.siege.socket);

    ga_siege_start_server(&storm.siege);
    for (uint32_t i = 0; i < nclients; i++)
        ga_siege_start_worker(&storm.siege, i);
    rage();
    calm_down();
    int r = judge();
    ga_siege_end(&storm.siege);
    return r;
}
