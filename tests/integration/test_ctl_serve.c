/* goallocctl serve, asked as a browser, a scraper and a hostile page would ask: what it answers and
 * to whom, that it goes on when the server comes back, where it listens, and how it ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "support/cunit_main.h"

#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define ANSWER_BYTES (4u << 20)
#define MANY         9000u /* spans: more than are told run by run */
#define FEW          1000u
#define WAIT_MS      30000 /* for what comes at once on a machine that has nothing else to do */

static struct ga_daemon daemon_;
static char name[64];
static char socket_path[128];
static const char *server_arguments[] = {
    "--name", name, "--socket", socket_path, "--limit", "512M", "--profile-rate", "64K", NULL};
static struct goalloc_heap *heap;
static void *many[MANY];
static pid_t child;
static uint64_t alloc_bytes; /* by this process and its child */
static uint64_t inuse_bytes;
static char answer[ANSWER_BYTES];
static struct ga_run run;

/* A goallocctl serve that runs. */
struct serve {
    pid_t pid;
    int out; /* its stdout */
    char url[256];
};
static struct serve serve_;

/* how: "--socket" or "--shm", and which. */
static bool start_serve_of(struct serve *serve, const char *how, const char *which,
                           const char *listen_at)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return false;
    serve->pid = fork();
    if (serve->pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execl(GOALLOCCTL_PATH, "goallocctl", how, which, "serve", "--listen", listen_at, NULL);
        _exit(127);
    }
    close(pipes[1]);
    serve->out = pipes[0];
    char line[512] = "";
    size_t length = 0;
    while (length + 1 < sizeof(line) && !strchr(line, '\n')) {
        struct pollfd ready = {.fd = serve->out, .events = POLLIN};
        ssize_t n = poll(&ready, 1, WAIT_MS) > 0
                        ? read(serve->out, line + length, sizeof(line) - 1 - length)
                        : -1;
        if (n <= 0)
            return false;
        length += (size_t)n;
        line[length] = '\0';
    }
    const char *url = strstr(line, " at ");
    return strstr(line, name) && url && sscanf(url + 4, "%255s", serve->url) == 1;
}

static bool start_serve(struct serve *serve, const char *listen_at)
{
    return start_serve_of(serve, "--socket", socket_path, listen_at);
}

/* The exit code, or 256 + the signal. */
static int end_serve(struct serve *serve, int signal_number)
{
    int status = 0;
    kill(serve->pid, signal_number);
    CU_ASSERT_EQUAL(waitpid(serve->pid, &status, 0), serve->pid);
    close(serve->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static unsigned port_of(const struct serve *serve)
{
    const char *colon = strrchr(serve->url, ':');
    return colon ? (unsigned)atoi(colon + 1) : 0;
}

static int connect_to(const struct serve *serve)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port_of(serve)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_unix = strncmp(serve->url, "unix:", 5) == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_unix)
        snprintf(local.sun_path, sizeof(local.sun_path), "%.107s", serve->url + 5);
    int r = is_unix ? connect(fd, (struct sockaddr *)&local, sizeof(local))
                    : connect(fd, (struct sockaddr *)&inet, sizeof(inet));
    CU_ASSERT_EQUAL_FATAL(r, 0);
    return fd;
}

/* Send a request of these lines, and read all of the answer. Returns its status; *ret_body is where
 * the body begins. */
static int ask(const struct serve *serve, const char *lines, const char **ret_body)
{
    int fd = connect_to(serve);
    dprintf(fd, "%s\r\nConnection: close\r\n\r\n", lines);
    size_t length = 0;
    ssize_t n;
    while (length + 1 < sizeof(answer) &&
           (n = read(fd, answer + length, sizeof(answer) - 1 - length)) > 0)
        length += (size_t)n;
    close(fd);
    answer[length] = '\0';
    char *body = strstr(answer, "\r\n\r\n");
    *ret_body = body ? body + 4 : "";
    int status = 0;
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

static int get(const char *path, const char **ret_body)
{
    char lines[512];
    snprintf(lines, sizeof(lines), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u", path, port_of(&serve_));
    return ask(&serve_, lines, ret_body);
}

static void all_is_served(void)
{
    static const struct {
        const char *path;
        const char *type;
        const char *holds;
    } pages[] = {
        {"/", "text/html", "<canvas id=\"map\""},
        {"/main.js", "text/javascript", "api/state"},
        {"/app.css", "text/css", "#map"},
        {"/palette.css", "text/css", "--s0"},
        {"/icon.svg", "image/svg+xml", "<svg"},
        {"/api/state", "application/json", "\"server_alive\": true"},
        {"/api/history", "application/json", "\"samples\""},
        {"/api/map", "application/json", "\"by\": \"state\""},
        {"/api/sites", "application/json", "\"sites\""},
        {"/metrics", "text/plain; version=0.0.4", "goalloc_up 1\n"},
        {"/debug/pprof/heap", "application/octet-stream", "\x1f\x8b"}, /* gzip */
        {"/debug/pprof/allocs", "application/octet-stream", "\x1f\x8b"},
    };
    for (size_t i = 0; i < COUNT(pages); i++) {
        const char *body;
        CU_ASSERT_EQUAL(get(pages[i].path, &body), 200);
        CU_ASSERT_PTR_NOT_NULL(strstr(body, pages[i].holds));
        CU_ASSERT_PTR_NOT_NULL(strstr(answer, pages[i].type));
        CU_ASSERT_PTR_NOT_NULL(strstr(answer, "Content-Security-Policy: default-src 'none';"));
        CU_ASSERT_PTR_NOT_NULL(strstr(answer, "X-Content-Type-Options: nosniff"));
        if (strcmp(pages[i].type, "application/json") == 0)
            CU_ASSERT(ga_json_is_valid(body));
    }
}

static void what_there_is_not(void)
{
    static const char *const paths[] = {"/nothing", "/../etc/passwd", "/web/main.js", "//main.js",
                                        "/api/map?arena=1000"};
    static const char *const queries[] = {"/api/map?by=colour", "/api/map?arena=-1",
                                          "/api/map?narenas=x", "/api/map?by=&arena="};
    const char *body;
    for (size_t i = 0; i < COUNT(paths); i++)
        CU_ASSERT_EQUAL(get(paths[i], &body), 404);
    for (size_t i = 0; i < COUNT(queries); i++)
        CU_ASSERT_EQUAL(get(queries[i], &body), 400);
}

/* The lines of a request for the state, with %u for the port. */
static int ask_as(const char *lines)
{
    char filled[512];
    const char *body;
    unsigned port = port_of(&serve_);
    snprintf(filled, sizeof(filled), lines, port, port);
    return ask(&serve_, filled, &body);
}

static void only_to_read_and_only_for_us(void)
{
    static const struct {
        int status;
        const char *lines;
    } requests[] = {
        {200, "GET /api/state HTTP/1.1\r\nHost: localhost:%u"},
        {200, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:8080"}, /* of ssh -L */
        {200, "GET /api/state HTTP/1.1\r\nHost: [::1]"},
        {200, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: http://127.0.0.1:%u"},
        {200, "GET /api/state HTTP/1.1\r\nHost: localhost:%u\r\nSec-Fetch-Site: same-origin"},
        {200, "GET / HTTP/1.1\r\nHost: localhost:%u\r\nSec-Fetch-Site: cross-site\r\n"
              "Sec-Fetch-Mode: navigate"},
        {200, "HEAD /api/state HTTP/1.1\r\nHost: localhost:%u"},
        {403, "GET /api/state HTTP/1.1\r\nHost: evil.example:%u"},
        {403, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1.evil.example:%u"},
        {403, "GET /api/state HTTP/1.1\r\nHost: localhost.evil.example"},
        {403, "GET /api/state HTTP/1.1\r\nHost: localhost:%u@evil.example"},
        {403, "GET /api/state HTTP/1.0\r\nAccept: */*"},
        {403, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: http://evil.example"},
        {403, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: http://127.0.0.1:1"},
        {403, "GET /api/state HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: null"},
        {403, "GET /api/state HTTP/1.1\r\nHost: localhost:%u\r\nSec-Fetch-Site: cross-site\r\n"
              "Sec-Fetch-Mode: cors"},
        {403, "GET /main.js HTTP/1.1\r\nHost: localhost:%u\r\nSec-Fetch-Site: same-site\r\n"
              "Sec-Fetch-Mode: no-cors"},
        {405, "POST /api/state HTTP/1.1\r\nHost: localhost:%u\r\nContent-Length: 0"},
        {405, "DELETE / HTTP/1.1\r\nHost: localhost:%u"},
        {405, "OPTIONS / HTTP/1.1\r\nHost: localhost:%u"},
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        int status = ask_as(requests[i].lines);
        CU_ASSERT_EQUAL(status, requests[i].status);
        if (status != requests[i].status)
            printf("%d: %s\n", status, requests[i].lines);
        CU_ASSERT_PTR_NULL(strcasestr(answer, "Access-Control-Allow"));
        if (status != 200)
            CU_ASSERT_PTR_NULL(strstr(answer, name));
    }
    CU_ASSERT_EQUAL(ask_as("POST / HTTP/1.1\r\nHost: localhost:%u\r\nContent-Length: 0"), 405);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, "Allow: GET, HEAD"));
}

static void metrics_say_what_is(void)
{
    const char *body;
    CU_ASSERT_EQUAL(get("/metrics", &body), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "program=\"q\\\"u\\\\o\"}")); /* escaped */
    const char *mallocs = strstr(body, "\ngoalloc_mallocs_total ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mallocs);
    CU_ASSERT(strtoull(mallocs + strlen("\ngoalloc_mallocs_total "), NULL, 10) >= MANY);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "\ngoalloc_server_longest_turn_seconds 0.0"));
    char state[64];
    snprintf(state, sizeof(state), "\"pid\": %d,", (int)getpid());
    CU_ASSERT_EQUAL(get("/api/state", &body), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, state));
}

static uint64_t sum_after(const char *text, const char *key)
{
    uint64_t sum = 0;
    for (const char *p = text; (p = strstr(p, key)); p += strlen(key))
        sum += strtoull(p + strlen(key), NULL, 10);
    return sum;
}

/* In cells no page is lost, and none is more than full; an arena alone is told run by run. */
static void maps_in_cells(void)
{
    static const char *const colours[] = {"state", "class", "owner", "occupancy"};
    for (size_t i = 0; i < COUNT(colours); i++) {
        char path[64];
        const char *body;
        snprintf(path, sizeof(path), "/api/map?by=%s", colours[i]);
        CU_ASSERT_EQUAL(get(path, &body), 200);
        CU_ASSERT(ga_json_is_valid(body));
        uint64_t npages = ga_json_number_of(body, "heap_npages");
        uint64_t each = ga_json_number_of(body, "pages_per_cell");
        const char *cells = strstr(body, "\"cells\": [");
        CU_ASSERT_PTR_NOT_NULL_FATAL(cells);
        uint64_t total = 0;
        uint64_t ncells = 0;
        for (const char *p = cells + strlen("\"cells\": ["); (p = strchr(p, '[')); ncells++) {
            uint64_t in_cell = 0;
            for (p++; *p != ']'; p += *p == ',' ? 2 : 0) {
                char *end;
                in_cell += strtoull(p, &end, 10);
                p = end;
            }
            CU_ASSERT(in_cell <= each);
            total += in_cell;
        }
        CU_ASSERT_EQUAL(total, npages - 1); /* page 0 is never used */
        CU_ASSERT(ncells <= 8192 && ncells == (npages + each - 1) / each);
        CU_ASSERT_EQUAL(sum_after(body, "\"npages\": "), npages - 1);
        snprintf(path, sizeof(path), "/api/map?by=%s&arena=0&narenas=1", colours[i]);
        CU_ASSERT_EQUAL(get(path, &body), 200);
        CU_ASSERT_PTR_NOT_NULL(strstr(body, "\"runs\""));
    }
}

/* A member of the first site. */
static uint64_t of_first_site(const char *body, const char *key)
{
    char text[64];
    snprintf(text, sizeof(text), "\"%s\": ", key);
    const char *site = strstr(body, "{\"calls\": [");
    const char *at = site ? strstr(site, text) : NULL;
    return at ? strtoull(at + strlen(text), NULL, 10) : 0;
}

static bool is_near(uint64_t estimate, uint64_t truth)
{
    return estimate > truth / 10 * 8 && estimate < truth / 10 * 12;
}

/* A function of a file that has no name for it; a sanitizer has a qsort of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CALLED_BY_QSORT ""
#else
#define CALLED_BY_QSORT "libc.so.6+0x"
#endif

/* One place, of two processes and many sizes, and who they are. */
static void sites_say_where(void)
{
    const char *body;
    char process[64];
    CU_ASSERT_EQUAL(get("/api/sites", &body), 200);
    CU_ASSERT(ga_json_is_valid(body));
    CU_ASSERT_EQUAL(ga_json_number_of(body, "rate_bytes"), 65536);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(body, "\"sites\": [\n    {\"calls\": [\"the_place\", \"fill_heap\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "{\"calls\": [\"a_small_place\", \"" CALLED_BY_QSORT));
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "\"main\"]"));
    CU_ASSERT(is_near(of_first_site(body, "inuse_bytes"), inuse_bytes));
    CU_ASSERT(is_near(of_first_site(body, "alloc_bytes"), alloc_bytes));
    CU_ASSERT(of_first_site(body, "inuse_objects") < of_first_site(body, "alloc_objects"));
    CU_ASSERT_EQUAL(of_first_site(body, "nprocesses"), 2);
    snprintf(process, sizeof(process), "{\"pid\": %d, ", (int)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(body, process));
    snprintf(process, sizeof(process), "{\"pid\": %d, ", (int)child);
    const char *gone = strstr(body, process);
    CU_ASSERT(gone && strstr(gone, "\"gone\": true") < strchr(gone, '}'));
}

/* They are kept for some looks, however often somebody asks, and then are others. */
static void sites_are_kept(void)
{
    const char *body;
    CU_ASSERT_EQUAL(get("/api/sites", &body), 200);
    uint64_t first = ga_json_number_of(body, "sequence");
    uint64_t next = first;
    CU_ASSERT(first > 0);
    for (int waited_ms = 0; waited_ms < WAIT_MS && next == first; waited_ms += 50) {
        usleep(50000);
        CU_ASSERT_EQUAL(get("/api/sites", &body), 200);
        next = ga_json_number_of(body, "sequence");
    }
    CU_ASSERT(next >= first + 5);
}

/* Wait until path's answer holds needle. */
static bool comes(const char *path, const char *needle)
{
    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 50) {
        const char *body;
        if (get(path, &body) == 200 && strstr(body, needle))
            return true;
        usleep(50000);
    }
    return false;
}

/* Ages are fetched once somebody has asked for them. */
static void ages_come(void)
{
    CU_ASSERT(comes("/api/map?by=age", "\"by\": \"age\""));
}

/* However many ask, the server is asked once an interval: all see the same look. */
static void many_viewers(void)
{
    const char *body;
    get("/api/state", &body);
    uint64_t first = ga_json_number_of(body, "sequence");
    uint64_t begin = ga_json_number_of(body, "interval_ms");
    CU_ASSERT(begin >= 1000);
    struct timespec from;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(get("/api/state", &body), 200);
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t looks = ga_json_number_of(body, "sequence") - first;
    CU_ASSERT(looks <= (uint64_t)(now.tv_sec - from.tv_sec) + 2);
}

/* Of a heap whose server is dead, all that does not need one. */
static void a_dead_heap(void)
{
    const char *body;
    const struct serve live = serve_;
    CU_ASSERT_FATAL(start_serve_of(&serve_, "--shm", name, "127.0.0.1:0"));
    CU_ASSERT_EQUAL(get("/api/state", &body), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "\"source\": \"shm\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "\"server_alive\": false"));
    CU_ASSERT_PTR_NOT_NULL(strstr(body, name));
    CU_ASSERT_EQUAL(ga_json_number_of(body, "pid"), (uint64_t)getpid());
    CU_ASSERT(ga_json_count(body, "size_class") > 2);
    CU_ASSERT_EQUAL(get("/metrics", &body), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "goalloc_up 0\n"));
    CU_ASSERT(sum_after(body, "\ngoalloc_heap_objects ") >= MANY);
    CU_ASSERT_EQUAL(get("/api/map?by=occupancy", &body), 200);
    CU_ASSERT_EQUAL(get("/api/map?by=age", &body), 404);
    CU_ASSERT_EQUAL(get("/api/sites", &body), 200);
    CU_ASSERT_EQUAL(get("/debug/pprof/heap", &body), 200);
    CU_ASSERT_EQUAL(end_serve(&serve_, SIGTERM), 0);
    serve_ = live;
}

static void the_server_comes_and_goes(void)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    a_dead_heap();
    CU_ASSERT(comes("/api/state", "\"server_alive\": false"));
    CU_ASSERT(comes("/metrics", "goalloc_up 0\n"));
    const char *body;
    CU_ASSERT_EQUAL(get("/", &body), 200);
    CU_ASSERT_EQUAL(get("/api/map", &body), 200); /* as it was left */
    CU_ASSERT_EQUAL(get("/api/sites", &body), 200);
    CU_ASSERT_EQUAL(get("/debug/pprof/heap", &body), 503);
    CU_ASSERT_FATAL(ga_daemon_start(&daemon_, 0, server_arguments));
    CU_ASSERT(comes("/api/state", "\"server_alive\": true"));
    CU_ASSERT(comes("/metrics", "goalloc_up 1\n"));
    CU_ASSERT_EQUAL(get("/api/map", &body), 200);
}

static int serve_at(const char *listen_at, const char *socket)
{
    /* One that serves where it should not would serve for ever. */
    const char *words[] = {"60",    GOALLOCCTL_PATH, "--socket", socket,
                           "serve", "--listen",      listen_at,  NULL};
    CU_ASSERT_FATAL(ga_run(&run, "/usr/bin/timeout", words));
    return run.code;
}

static void where_it_cannot_listen(void)
{
    char taken[64];
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", port_of(&serve_));
    CU_ASSERT_EQUAL(serve_at(taken, socket_path), 9);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, taken));
    static const char *const wrong[] = {
        "0.0.0.0:0", "192.168.0.1:80", "example.org:80",  "[::]:1",
        "127.0.0.1", "127.0.0.1:",     "127.0.0.1:65536", "127.0.0.1:x",
        "unix:",     "4625",           "127.0.0.12:0",    "localhost.:0"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        CU_ASSERT_EQUAL(serve_at(wrong[i], socket_path), 2);
        CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "cannot listen at"));
    }
    CU_ASSERT_EQUAL(serve_at("127.0.0.1:0", ga_daemon_path("nobody")), 5);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "nobody"));
}

static void at_a_unix_socket(void)
{
    char at[160];
    char path[128];
    struct serve serve;
    const char *body;
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s", ga_daemon_path("http"));
    snprintf(at, sizeof(at), "unix:%s", path);

    /* What is no socket is left as it is. */
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT(fd >= 0 && close(fd) == 0);
    CU_ASSERT_EQUAL(serve_at(at, socket_path), 9);
    CU_ASSERT(stat(path, &st) == 0 && S_ISREG(st.st_mode));
    CU_ASSERT_EQUAL(unlink(path), 0);

    CU_ASSERT_FATAL(start_serve(&serve, at));
    CU_ASSERT(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
    CU_ASSERT_EQUAL(ask(&serve, "GET /metrics HTTP/1.1\r\nHost: any", &body), 200);
    CU_ASSERT_EQUAL(
        ask(&serve, "GET /metrics HTTP/1.1\r\nHost: any\r\nOrigin: http://other", &body), 403);
    CU_ASSERT_EQUAL(serve_at(at, socket_path), 9); /* somebody listens */
    CU_ASSERT_EQUAL(end_serve(&serve, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    CU_ASSERT_FATAL(start_serve(&serve, at)); /* nobody does any more */
    CU_ASSERT_EQUAL(end_serve(&serve, SIGTERM), 0);
    CU_ASSERT(stat(path, &st) < 0);
}

static void it_ends(void)
{
    CU_ASSERT_EQUAL(end_serve(&serve_, SIGTERM), 0);
    struct serve serve;
    CU_ASSERT_FATAL(start_serve(&serve, "[::1]:0") || start_serve(&serve, "localhost:0"));
    CU_ASSERT_EQUAL(end_serve(&serve, SIGINT), 0);
}

/* Where all is allocated. */
__attribute__((noinline, used)) static void *the_place(size_t size)
{
    void *object = goalloc_malloc(heap, size);
    alloc_bytes += size; /* and so it is no tail call */
    inuse_bytes += size;
    return object;
}

__attribute__((noinline, used)) static bool fill_heap(size_t nobjects)
{
    bool good = true;
    for (size_t i = 0; i < nobjects; i++)
        good = (many[i] = the_place(8192)) && good;
    for (size_t i = 0; i < nobjects; i += 7) {
        goalloc_free(heap, many[i]);
        inuse_bytes -= 8192;
        good = (many[i] = the_place(100 + i)) && good;
    }
    return good;
}

/* Another place, less of it, called by a function of the C library that has no name. */
static void *small;
__attribute__((noinline, used)) static int a_small_place(const void *one, const void *other)
{
    if (!small)
        small = goalloc_malloc(heap, 1u << 20);
    return one < other ? -1 : 1;
}

/* This process, and one that ends, and leaves what it has allocated. */
static bool make_heap(void)
{
    struct goalloc_options options = {.size = sizeof(options), .client_name = "q\"u\\o"};
    if (goalloc_attach(socket_path, &options, &heap) < 0)
        return false;
    child = fork();
    if (child == 0)
        _exit(!fill_heap(FEW));
    int status = 1;
    if (waitpid(child, &status, 0) != child || status != 0)
        return false;
    int few[] = {2, 1};
    qsort(few, COUNT(few), sizeof(few[0]), a_small_place);
    bool good = fill_heap(FEW) && small; /* which is as much as the child's */
    alloc_bytes *= 2;
    inuse_bytes *= 2;
    return good && fill_heap(MANY);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"all is served", all_is_served},
        {"what there is not", what_there_is_not},
        {"only to read, and only for us", only_to_read_and_only_for_us},
        {"metrics say what is", metrics_say_what_is},
        {"sites say where", sites_say_where},
        {"sites are kept", sites_are_kept},
        {"maps in cells", maps_in_cells},
        {"ages come", ages_come},
        {"many viewers", many_viewers},
        {"the server comes and goes", the_server_comes_and_goes},
        {"where it cannot listen", where_it_cannot_listen},
        {"at a unix socket", at_a_unix_socket},
        {"it ends", it_ends},
    };
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("serve"));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    int code = 1;
    if (ga_daemon_start(&daemon_, 0, server_arguments) && make_heap() &&
        start_serve(&serve_, "127.0.0.1:0"))
        code = ga_test_main("integration.ctl_serve", tests, COUNT(tests));
    if (serve_.pid > 0 && code != 0)
        kill(serve_.pid, SIGKILL);
    goalloc_detach(heap);
    if (ga_daemon_end(&daemon_, SIGTERM) != 0)
        code = 1;
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
