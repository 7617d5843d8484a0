/* Random mutation: clients of several threads change a graph of objects in one heap, beside a
 * shadow that says what is reachable. Again and again all of them stand still, and what the heap
 * has is compared with the shadow: what is reachable must be in use and as it was left, and what is
 * not must be gone. Meanwhile clients are killed and stopped, and the server is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deeds.h"
#include "driver.h"
#include "pauses.h"
#include "shadow.h"
#include "support/siege.h"
#include "support/siege_options.h"
#include "worker.h"

struct options {
    uint32_t seconds;
    uint32_t threads;
    uint32_t run_ms;       /* between two pauses */
    uint32_t kill_ms;      /* a client is killed so often, or stopped; 0 = never */
    uint32_t server_ms;    /* the server is; 0 = never */
    enum shadow_kind kind; /* of most clients */
    bool collected;
};

/* Most clients are of one kind, and one is of each other kind that there is without it. */
static void set_kinds(const struct options *options)
{
    struct shadow *shadow = driver.shadow;
    shadow->collected = options->collected;
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        shadow->kind[c] = options->kind;
    if (!options->collected)
        return;
    shadow->kind[SHADOW_CLIENTS - 2] = SHADOW_ORDINARY;
    shadow->kind[SHADOW_CLIENTS - 1] = SHADOW_UNREACHABLE;
}

/* ---- the course of it ---- */

static void disturb(const struct options *options)
{
    uint32_t what = ga_siege_below(&driver.siege, 8);
    uint32_t client = ga_siege_below(&driver.siege, SHADOW_CLIENTS);
    if (options->server_ms != 0 &&
        ga_siege_below(&driver.siege, options->server_ms) < options->kill_ms)
        ga_siege_kill_server(&driver.siege);
    else if (what < 2)
        driver_stop_client_for_a_while(client);
    else if (what == 2 && options->collected)
        driver_end_ctl_gc(driver_begin_ctl_gc());
    else
        driver_kill_client(client);
}

static void let_them_work(const struct options *options)
{
    uint64_t end = ga_siege_now_ms() + options->run_ms;
    uint64_t next = ga_siege_now_ms() + options->kill_ms;
    while (ga_siege_now_ms() < end) {
        usleep(1000);
        if (options->kill_ms == 0 || ga_siege_now_ms() < next)
            continue;
        disturb(options);
        next = ga_siege_now_ms() + options->kill_ms;
    }
}

/* The clients end by themselves, all of them. */
static void calm_down(void)
{
    uint64_t end = ga_siege_now_ms() + DRIVER_PATIENCE_MS;
    atomic_store(&driver.shadow->stop, 1);
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        if (!ga_siege_await_worker(&driver.siege, c, end))
            ga_siege_fail(&driver.siege, "client %u (process %d) does not end: it %s", c,
                          driver.siege.workers[c],
                          deed_text(atomic_load(&driver.shadow->thread[c][0].doing)));
}

static int judge(const struct pauses *pauses)
{
    const struct shadow *shadow = driver.shadow;
    uint64_t damaged = atomic_load(&shadow->damaged);
    uint64_t nabandoned;
    uint64_t said = ga_siege_print_log(&driver.siege, " was abandoned: ", &nabandoned);
    printf("%llu deeds, %llu without memory or server; killed: %llu clients, %llu servers; %llu "
           "stops\n"
           "%llu pauses, %llu objects kept in them, %llu collected, %llu freed by the driver; "
           "damaged %llu\n",
           (unsigned long long)atomic_load(&shadow->deeds),
           (unsigned long long)atomic_load(&shadow->not_done),
           (unsigned long long)driver.siege.nworkers_killed,
           (unsigned long long)driver.siege.nservers_killed, (unsigned long long)driver.nstops,
           (unsigned long long)driver.siege.npauses, (unsigned long long)pauses->nkept,
           (unsigned long long)pauses->ncollected, (unsigned long long)pauses->nfreed,
           (unsigned long long)damaged);
    if (shadow->collected)
        printf("collections that clients asked for: %llu, and %llu abandoned; abandoned of all: "
               "%llu; lucky words: %llu, at most %llu at once, which kept %llu objects\n",
               (unsigned long long)atomic_load(&shadow->cycles),
               (unsigned long long)atomic_load(&shadow->abandoned), (unsigned long long)nabandoned,
               (unsigned long long)pauses->nlucky, (unsigned long long)pauses->nlucky_most,
               (unsigned long long)pauses->nleft);
    return damaged == 0 && said == 0 && pauses->nkept > 0 && pauses->ncollected + pauses->nfreed > 0
               ? 0
               : 1;
}

/* ---- options ---- */

static void set_heap(const char *text, void *data)
{
    struct options *options = data;
    options->collected = strcmp(text, "kept") != 0;
    if (strcmp(text, "kept") == 0) {
        options->kind = SHADOW_ORDINARY;
    } else if (strcmp(text, "unreachable") == 0) {
        options->kind = SHADOW_UNREACHABLE;
    } else if (strcmp(text, "managed") == 0) {
        options->kind = SHADOW_MANAGED;
    } else {
        fprintf(stderr, "mutation: '%s' is none of managed, unreachable, kept\n", text);
        exit(2);
    }
}

static void read_options(int argc, char **argv, struct options *ret)
{
    const struct ga_siege_option options[] = {
        {"heap", .read = set_heap, .data = ret},
        {"seconds", 1, 1000000, .ret = &ret->seconds},
        {"threads", 1, SHADOW_THREADS_MAX, .ret = &ret->threads},
        {"run-ms", 1, 1000000, .ret = &ret->run_ms},
        {"kill-ms", 0, 1000000, .ret = &ret->kill_ms},
        {"server-ms", 0, 1000000, .ret = &ret->server_ms},
    };
    ga_siege_read_options(
        "mutation",
        "usage: mutation [--heap managed|unreachable|kept] [--seconds N] [--threads N]\n"
        "                [--run-ms N] [--kill-ms N, 0 = never] [--server-ms N, 0 = never]\n",
        options, sizeof(options) / sizeof(options[0]), argc, argv);
}

int main(int argc, char **argv)
{
    if (argc == GA_SIEGE_WORKER_ARGC && strcmp(argv[1], "worker") == 0)
        return worker_main(argv);
    struct options options = {.seconds = 600,
                              .threads = 2,
                              .run_ms = 300,
                              .kill_ms = 100,
                              .server_ms = 2000,
                              .kind = SHADOW_MANAGED,
                              .collected = true};
    struct pauses pauses = {0};
    read_options(argc, argv, &options);
#ifdef __SANITIZE_THREAD__
    options.threads =
        1; /* it does not see what goes from thread to thread by way of another process */
#endif
    int fd;
    driver.shadow = shadow_make(&fd);
    ga_siege_begin(&driver.siege, "mutation", fd);
    snprintf(driver.shadow->socket, sizeof(driver.shadow->socket), "%s", driver.siege.socket);
    driver.shadow->nthreads = options.threads;
    set_kinds(&options);
    ga_siege_start_server(&driver.siege);
    driver_attach();
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        ga_siege_start_worker(&driver.siege, c);
    uint64_t end = ga_siege_now_ms() + options.seconds * UINT64_C(1000);
    while (ga_siege_now_ms() < end) {
        let_them_work(&options);
        pauses_take(&pauses);
    }
    calm_down();
    goalloc_detach(driver.heap);
    int r = judge(&pauses);
    ga_siege_end(&driver.siege);
    return r;
}
