/* The storm: clients of several threads at work in one heap, each of them killed again and again,
 * and the server too. At the end the account must close: what the ledger has is in use and intact,
 * what else is in use was in a dead thread's hands, and the audit finds no fault. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "inventory.h"
#include "ledger.h"
#include "support/cunit_main.h"
#include "worker.h"

enum { END_S = 120 }; /* how long clients may take to end: longer than any call waits */

struct storm {
    uint32_t seconds;
    uint32_t kill_ms;   /* a client is killed so often */
    uint32_t server_ms; /* the server is */
    uint64_t random;
    struct storm_ledger *ledger;
    int ledger_fd;
    char heap_name[64];
    char folder[64];
    int log_fd; /* what the servers say */
    pid_t server;
    pid_t clients[STORM_CLIENTS_MAX];
    int64_t stopped; /* a client that is stopped for a while, or -1 */
    struct storm_doubts doubts;
    uint64_t nclients_killed;
    uint64_t nservers_killed;
    uint64_t nstops;
};

static struct storm storm = {.seconds = 600, .kill_ms = 50, .server_ms = 2000, .stopped = -1};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what must not be left behind ---- */

static void clean_up(void)
{
    for (uint32_t i = 0; i < STORM_CLIENTS_MAX; i++)
        if (storm.clients[i] > 0)
            kill(storm.clients[i], SIGKILL);
    if (storm.server > 0)
        kill(storm.server, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    for (size_t i = 0; i < 3; i++) {
        char path[160];
        snprintf(path, sizeof(path), "/dev/shm/goalloc.%s.%s", storm.heap_name, suffixes[i]);
        unlink(path);
    }
    unlink(storm.ledger->socket);
    rmdir(storm.folder);
}

static void clean_up_on_signal(int number)
{
    clean_up();
    signal(number, SIG_DFL);
    raise(number);
}

/* Nothing that happens here is worth a warning. Returns how many bytes the servers have said. */
static uint64_t print_log(void)
{
    char text[4096];
    uint64_t bytes = 0;
    ssize_t n;
    while ((n = pread(storm.log_fd, text, sizeof(text), (off_t)bytes)) > 0) {
        fwrite(text, 1, (size_t)n, stderr);
        bytes += (uint64_t)n;
    }
    return bytes;
}

static __attribute__((format(printf, 1, 2), noreturn)) void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("storm: ", stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; after %llu clients and %llu servers were killed\n",
            (unsigned long long)storm.nclients_killed, (unsigned long long)storm.nservers_killed);
    va_end(args);
    print_log();
    clean_up();
    exit(1);
}

/* ---- processes ---- */

static void start_server(void)
{
    int ready[2];
    if (pipe(ready) < 0)
        fail("no pipe");
    storm.server = fork();
    if (storm.server == 0) {
        char fd[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(storm.ledger_fd);
        dup2(storm.log_fd, STDERR_FILENO);
        snprintf(fd, sizeof(fd), "%d", ready[1]);
        execl(GOALLOCD_PATH, "goallocd", "--name", storm.heap_name, "--socket",
              storm.ledger->socket, "--limit", "2G", "--reserve", "4G", "--ready-fd", fd,
              "--log-level", "warning", (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    ssize_t n = read(ready[0], &byte, 1);
    close(ready[0]);
    if (n != 1)
        fail("goallocd did not start");
}

static void kill_server(void)
{
    int status;
    kill(storm.server, SIGKILL);
    waitpid(storm.server, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("goallocd has ended by itself, with status %#x", status);
    storm.nservers_killed++;
    usleep((useconds_t)(ga_test_random(&storm.random) % 100000));
    start_server();
}

static void start_client(uint32_t client)
{
    char number[16];
    char fd[16];
    char seed[32];
    snprintf(number, sizeof(number), "%u", client);
    snprintf(fd, sizeof(fd), "%d", storm.ledger_fd);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)ga_test_random(&storm.random));
    storm.clients[client] = fork();
    if (storm.clients[client] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "storm", "worker", number, fd, seed, (char *)NULL);
        _exit(127);
    }
}

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
    kill(storm.clients[client], SIGKILL);
    int status;
    waitpid(storm.clients[client], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("client %u has ended by itself, with status %#x", client, status);
    resolve_all(client);
    storm.nclients_killed++;
    start_client(client);
}

/* A client is stopped until the next comes: nobody may take that for its death. */
static void stop_client(uint32_t client)
{
    if (storm.stopped >= 0)
        kill(storm.clients[storm.stopped], SIGCONT);
    storm.stopped = client;
    kill(storm.clients[client], SIGSTOP);
    storm.nstops++;
}

/* ---- the course of it ---- */

/* When the next kill is due; those that were missed, since a death takes its time, are not made up
 * for. */
static uint64_t due_after(uint64_t last, uint32_t every_ms)
{
    uint64_t now = now_ms();
    return last + every_ms > now ? last + every_ms : now;
}

static void rage(void)
{
    uint64_t start = now_ms();
    uint64_t next_client = start;
    uint64_t next_server = start + storm.server_ms;
    while (now_ms() < start + storm.seconds * UINT64_C(1000)) {
        next_client = due_after(next_client, storm.kill_ms);
        while (now_ms() < next_client)
            usleep(1000);
        uint64_t r = ga_test_random(&storm.random);
        uint32_t client = (uint32_t)(r % storm.ledger->nclients);
        if ((r >> 32) % 10 == 0)
            stop_client(client);
        else
            kill_client(client); /* also one that is stopped */
        if (storm.server_ms && now_ms() >= next_server) {
            kill_server();
            next_server = due_after(next_server, storm.server_ms);
        }
    }
}

/* The clients that are left end by themselves, all of them. */
static void calm_down(void)
{
    atomic_store(&storm.ledger->stop, 1);
    if (storm.stopped >= 0)
        kill(storm.clients[storm.stopped], SIGCONT);
    uint64_t end = now_ms() + END_S * UINT64_C(1000);
    for (uint32_t i = 0; i < storm.ledger->nclients; i++) {
        int status = 0;
        pid_t gone;
        while ((gone = waitpid(storm.clients[i], &status, WNOHANG)) == 0 && now_ms() < end)
            usleep(1000);
        if (gone == 0)
            fail("client %u does not end", i);
        storm.clients[i] = 0;
        if (status != 0)
            fail("client %u has failed, with status %#x", i, status);
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
    if (goalloc_attach(storm.ledger->socket, &options, &heap) < 0)
        fail("%s", goalloc_attach_error());
    struct ga_inventory inventory;
    int64_t nfaults = ga_inventory_take(storm.heap_name, 1, &inventory);
    struct storm_outcome o =
        storm_compare(storm.heap_name, storm.ledger, &inventory, &storm.doubts);
    uint64_t damaged = atomic_load(&storm.ledger->damaged) + free_all(heap, &inventory);
    goalloc_detach(heap);
    struct ga_inventory rest;
    int64_t nfaults_empty = ga_inventory_take(storm.heap_name, 0, &rest);
    uint64_t reports = atomic_load(&storm.ledger->reports);
    printf("%llu operations, %llu without memory or server; killed: %llu clients, %llu servers; "
           "%llu stops\n"
           "live %llu, lost %llu, damaged %llu, refused %llu; in dead hands %llu and %llu of at "
           "most %llu; faults %lld, %lld when empty, with %zu objects\n",
           (unsigned long long)atomic_load(&storm.ledger->operations),
           (unsigned long long)atomic_load(&storm.ledger->failed),
           (unsigned long long)storm.nclients_killed, (unsigned long long)storm.nservers_killed,
           (unsigned long long)storm.nstops, (unsigned long long)o.live, (unsigned long long)o.lost,
           (unsigned long long)damaged, (unsigned long long)reports, (unsigned long long)o.doubted,
           (unsigned long long)o.unknown, (unsigned long long)storm.doubts.unknown,
           (long long)nfaults, (long long)nfaults_empty, rest.count);
    free(inventory.objects);
    free(rest.objects);
    free(storm.doubts.objects);
    bool good = print_log() == 0 && nfaults == 0 && nfaults_empty == 0 && o.lost == 0 &&
                damaged == 0 && reports == 0 && o.unknown <= storm.doubts.unknown &&
                rest.count == 0 && o.live > 0;
    return good ? 0 : 1;
}

/* ---- options ---- */

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value < least || value > most) {
        fprintf(stderr, "storm: '%s' is no number from %u to %u\n", text, least, most);
        exit(2);
    }
    return (uint32_t)value;
}

static void usage(FILE *stream)
{
    fputs("usage: storm [--seconds N] [--clients N] [--threads N] [--kill-ms N] "
          "[--server-ms N, 0 = never]\n",
          stream);
}

static void read_options(int argc, char **argv, uint32_t *ret_clients, uint32_t *ret_threads)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"clients", required_argument, NULL, 'c'},
        {"threads", required_argument, NULL, 't'},
        {"kill-ms", required_argument, NULL, 'k'},
        {"server-ms", required_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            storm.seconds = number(optarg, 1, 1000000);
            break;
        case 'c':
            *ret_clients = number(optarg, 1, STORM_CLIENTS_MAX);
            break;
        case 't':
            *ret_threads = number(optarg, 1, STORM_THREADS_MAX);
            break;
        case 'k':
            storm.kill_ms = number(optarg, 1, 1000000);
            break;
        case 'S':
            storm.server_ms = number(optarg, 0, 1000000);
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "storm: '%s' is not known here\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc == STORM_WORKER_ARGC && strcmp(argv[1], "worker") == 0)
        return storm_work(argv);
    uint32_t nclients = 16;
    uint32_t nthreads = 4;
    read_options(argc, argv, &nclients, &nthreads);
#ifdef __SANITIZE_THREAD__
    nthreads = 1; /* it does not see what goes from thread to thread by way of another process */
#endif
    storm.ledger = storm_ledger_make(&storm.ledger_fd);
    storm.ledger->nclients = nclients;
    storm.ledger->nthreads = nthreads;
    storm.log_fd = memfd_create("log", MFD_CLOEXEC);
    storm.random = ga_test_seed();
    snprintf(storm.heap_name, sizeof(storm.heap_name), "storm-%d", getpid());
    snprintf(storm.folder, sizeof(storm.folder), "/tmp/goalloc-storm-XXXXXX");
    if (!mkdtemp(storm.folder))
        fail("no folder for the socket");
    snprintf(storm.ledger->socket, sizeof(storm.ledger->socket), "%s/sock", storm.folder);
    signal(SIGINT, clean_up_on_signal);
    signal(SIGTERM, clean_up_on_signal);

    start_server();
    for (uint32_t i = 0; i < nclients; i++)
        start_client(i);
    rage();
    calm_down();
    int r = judge();
    clean_up();
    return r;
}
