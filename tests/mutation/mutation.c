/* Random mutation: clients of several threads change a graph of objects in one heap, beside a
 * shadow that says what is reachable. Again and again all of them stand still, and what the heap
 * has is compared with the shadow: what is reachable must be in use and as it was left, and what is
 * not must be gone. Meanwhile clients are killed and stopped, and the server is killed. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
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

#include "deeds.h"
#include "goalloc/goalloc.h"
#include "reach.h"
#include "shadow.h"
#include "support/cunit_main.h"
#include "worker.h"

enum {
    STILL_S = 60, /* how long threads may take to stand still, or to end */
    STOPPED_MS = 100,
};

struct mutation {
    uint32_t seconds;
    uint32_t run_ms;    /* between two pauses */
    uint32_t kill_ms;   /* a client is killed so often, or stopped; 0 = never */
    uint32_t server_ms; /* the server is */
    uint64_t random;
    struct shadow *shadow;
    int shadow_fd;
    char heap_name[64];
    char folder[64];
    int log_fd; /* what the servers say */
    pid_t server;
    pid_t clients[SHADOW_CLIENTS];
    uint64_t npauses;
    uint64_t nclients_killed;
    uint64_t nservers_killed;
    uint64_t nstops;
    uint64_t nchecked; /* objects that were reachable, in all pauses */
    uint64_t nfreed;   /* objects that the driver has freed */
    uint64_t nfaults;
};

static struct mutation m = {.seconds = 600, .run_ms = 300, .kill_ms = 100, .server_ms = 2000};
static struct reach reach;

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(ga_test_random(&m.random) % n);
}

/* ---- what must not be left behind ---- */

static void clean_up(void)
{
    for (uint32_t i = 0; i < SHADOW_CLIENTS; i++)
        if (m.clients[i] > 0)
            kill(m.clients[i], SIGKILL);
    if (m.server > 0)
        kill(m.server, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    for (size_t i = 0; i < 3; i++) {
        char name[160];
        snprintf(name, sizeof(name), "/goalloc.%s.%s", m.heap_name, suffixes[i]);
        shm_unlink(name);
    }
    unlink(m.shadow->socket);
    rmdir(m.folder);
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
    while ((n = pread(m.log_fd, text, sizeof(text), (off_t)bytes)) > 0) {
        fwrite(text, 1, (size_t)n, stderr);
        bytes += (uint64_t)n;
    }
    return bytes;
}

static __attribute__((format(printf, 1, 2), noreturn)) void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mutation: ", stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; in pause %llu, after %llu clients and %llu servers were killed\n",
            (unsigned long long)m.npauses, (unsigned long long)m.nclients_killed,
            (unsigned long long)m.nservers_killed);
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
    m.server = fork();
    if (m.server == 0) {
        char fd[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(m.shadow_fd);
        dup2(m.log_fd, STDERR_FILENO);
        snprintf(fd, sizeof(fd), "%d", ready[1]);
        execl(GOALLOCD_PATH, "goallocd", "--name", m.heap_name, "--socket", m.shadow->socket,
              "--limit", "2G", "--reserve", "4G", "--ready-fd", fd, "--log-level", "warning",
              (char *)NULL);
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
    kill(m.server, SIGKILL);
    waitpid(m.server, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("goallocd has ended by itself, with status %#x", status);
    m.nservers_killed++;
    usleep((useconds_t)below(100000));
    start_server();
}

static void start_client(uint32_t client)
{
    char number[16];
    char fd[16];
    char seed[32];
    snprintf(number, sizeof(number), "%u", client);
    snprintf(fd, sizeof(fd), "%d", m.shadow_fd);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)ga_test_random(&m.random));
    m.clients[client] = fork();
    if (m.clients[client] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "mutation", "worker", number, fd, seed, (char *)NULL);
        _exit(127);
    }
}

static void kill_client(uint32_t client)
{
    int status;
    kill(m.clients[client], SIGKILL);
    waitpid(m.clients[client], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("client %u has ended by itself, with status %#x", client, status);
    (void)shadow_bury(m.shadow, client);
    m.nclients_killed++;
    start_client(client);
}

/* Nobody may take that for its death. */
static void stop_client_for_a_while(uint32_t client)
{
    kill(m.clients[client], SIGSTOP);
    usleep((useconds_t)below(STOPPED_MS * 1000));
    kill(m.clients[client], SIGCONT);
    m.nstops++;
}

/* ---- pauses ---- */

static void fail_if_dead(uint32_t client)
{
    int status;
    if (waitpid(m.clients[client], &status, WNOHANG) == 0)
        return;
    m.clients[client] = 0;
    fail("client %u has ended by itself, with status %#x", client, status);
}

static void wait_until_still(uint32_t client, uint32_t thread, uint64_t end)
{
    const struct shadow_thread *t = &m.shadow->thread[client][thread];
    while (atomic_load(&t->parked) != m.npauses) {
        fail_if_dead(client);
        if (now_ms() > end)
            fail("thread %u of client %u (process %d) does not stand still: it %s", thread, client,
                 m.clients[client], deed_text(atomic_load(&t->doing)));
        usleep(500);
    }
}

static void pause_all(void)
{
    uint64_t end = now_ms() + STILL_S * UINT64_C(1000);
    atomic_store(&m.shadow->pause, ++m.npauses);
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        for (uint32_t t = 0; t < m.shadow->nthreads; t++)
            wait_until_still(c, t, end);
}

static void take_inventory(struct ga_inventory *ret)
{
    int64_t nfaults = ga_inventory_take(m.heap_name, SHADOW_CLIENTS + 1, ret);
    if (nfaults != 0)
        m.nfaults++;
    if (nfaults < 0)
        fail("the heap does not come to rest");
}

static void *free_all(void *argument)
{
    const struct ga_inventory *rest = argument;
    for (size_t i = 0; i < rest->count; i++)
        goalloc_free(reach.heap, rest->objects[i].object);
    return NULL;
}

/* Where nobody collects, the test does: so a shadow that takes something for unreachable that is
 * not is found. By a thread that ends, so that nothing stays in a batch. */
static void free_rest(struct ga_inventory *rest)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_all, rest) != 0)
        fail("no thread");
    pthread_join(thread, NULL);
    m.nfreed += rest->count;
}

static void look(void)
{
    struct ga_inventory inventory;
    m.nfaults += reach_find(&reach);
    take_inventory(&inventory);
    m.nfaults += reach_check(&reach, &inventory);
    m.nchecked += reach.nkept;
    reach_rest(&reach, &inventory);
    free_rest(&inventory);
    inventory.count = 0;
    reach_forget(&reach, &inventory);
    free(inventory.objects);
    if (m.nfaults != 0)
        fail("%llu faults", (unsigned long long)m.nfaults);
}

/* ---- the course of it ---- */

static void disturb(uint64_t until)
{
    uint64_t next = now_ms() + m.kill_ms;
    while (now_ms() < until) {
        usleep(1000);
        if (m.kill_ms == 0 || now_ms() < next)
            continue;
        next = now_ms() + m.kill_ms;
        if (m.server_ms != 0 && below(m.server_ms) < m.kill_ms)
            kill_server();
        else if (below(4) == 0)
            stop_client_for_a_while(below(SHADOW_CLIENTS));
        else
            kill_client(below(SHADOW_CLIENTS));
    }
}

static void run(void)
{
    uint64_t end = now_ms() + m.seconds * UINT64_C(1000);
    while (now_ms() < end) {
        disturb(now_ms() + m.run_ms);
        pause_all();
        look();
        atomic_store(&m.shadow->pause, 0);
    }
}

/* The clients end by themselves, all of them. */
static void calm_down(void)
{
    uint64_t end = now_ms() + STILL_S * UINT64_C(1000);
    atomic_store(&m.shadow->stop, 1);
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++) {
        int status = 0;
        pid_t gone;
        while ((gone = waitpid(m.clients[c], &status, WNOHANG)) == 0 && now_ms() < end)
            usleep(1000);
        if (gone == 0)
            fail("client %u (process %d) does not end: it %s", c, m.clients[c],
                 deed_text(atomic_load(&m.shadow->thread[c][0].doing)));
        m.clients[c] = 0;
        if (status != 0)
            fail("client %u has failed, with status %#x", c, status);
    }
}

static int judge(void)
{
    uint64_t damaged = atomic_load(&m.shadow->damaged);
    uint64_t said = print_log();
    printf("%llu deeds, %llu without memory or server; killed: %llu clients, %llu servers; %llu "
           "stops\n"
           "%llu pauses, %llu objects found in them, %llu freed; damaged %llu, faults %llu\n",
           (unsigned long long)atomic_load(&m.shadow->deeds),
           (unsigned long long)atomic_load(&m.shadow->not_done),
           (unsigned long long)m.nclients_killed, (unsigned long long)m.nservers_killed,
           (unsigned long long)m.nstops, (unsigned long long)m.npauses,
           (unsigned long long)m.nchecked, (unsigned long long)m.nfreed,
           (unsigned long long)damaged, (unsigned long long)m.nfaults);
    return damaged == 0 && said == 0 && m.nfaults == 0 && m.nchecked > 0 ? 0 : 1;
}

/* ---- options ---- */

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "mutation: '%s' is no number from %u to %u\n", text, least, most);
        exit(2);
    }
    return (uint32_t)value;
}

static void usage(FILE *stream)
{
    fputs("usage: mutation [--seconds N] [--threads N] [--run-ms N] [--kill-ms N, 0 = never]\n"
          "                [--server-ms N, 0 = never]\n",
          stream);
}

static void read_options(int argc, char **argv, uint32_t *ret_threads)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"run-ms", required_argument, NULL, 'r'},
        {"kill-ms", required_argument, NULL, 'k'},
        {"server-ms", required_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            m.seconds = number(optarg, 1, 1000000);
            break;
        case 't':
            *ret_threads = number(optarg, 1, SHADOW_THREADS_MAX);
            break;
        case 'r':
            m.run_ms = number(optarg, 1, 1000000);
            break;
        case 'k':
            m.kill_ms = number(optarg, 0, 1000000);
            break;
        case 'S':
            m.server_ms = number(optarg, 0, 1000000);
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
        fprintf(stderr, "mutation: '%s' is not known here\n", argv[optind]);
        exit(2);
    }
}

/* The driver is attached, too: it reads the objects, and frees what nobody else would. */
static void attach(void)
{
    struct goalloc_options options = {.size = sizeof(options),
                                      .timeout_ms = STILL_S * 1000,
                                      .client_name = "driver",
                                      .report = deeds_report,
                                      .report_data = m.shadow};
    if (goalloc_attach(m.shadow->socket, &options, &reach.heap) < 0)
        fail("%s", goalloc_attach_error());
    reach.shadow = m.shadow;
    reach.heap_name = m.heap_name;
}

int main(int argc, char **argv)
{
    if (argc == MUTATION_WORKER_ARGC && strcmp(argv[1], "worker") == 0)
        return worker_main(argv);
    uint32_t nthreads = 2;
    read_options(argc, argv, &nthreads);
#ifdef __SANITIZE_THREAD__
    nthreads = 1; /* it does not see what goes from thread to thread by way of another process */
#endif
    m.shadow = shadow_make(&m.shadow_fd);
    m.shadow->nthreads = nthreads;
    m.log_fd = memfd_create("log", MFD_CLOEXEC);
    m.random = ga_test_seed();
    snprintf(m.heap_name, sizeof(m.heap_name), "mutation-%d", getpid());
    snprintf(m.folder, sizeof(m.folder), "/tmp/goalloc-mutation-XXXXXX");
    if (!mkdtemp(m.folder))
        fail("no folder for the socket");
    snprintf(m.shadow->socket, sizeof(m.shadow->socket), "%s/sock", m.folder);
    signal(SIGINT, clean_up_on_signal);
    signal(SIGTERM, clean_up_on_signal);

    start_server();
    attach();
    for (uint32_t i = 0; i < SHADOW_CLIENTS; i++)
        start_client(i);
    run();
    calm_down();
    goalloc_detach(reach.heap);
    int r = judge();
    clean_up();
    return r;
}
