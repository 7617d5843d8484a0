/* Floods of connections: those that say nothing take no descriptor from who says Hello; and when
 * the server has no descriptor left, who is served stays so, and others are served again as soon as
 * there are some. */
#include <dirent.h>
#include <errno.h>
#include <goalloc/goalloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/wire.h"
#include "support/cunit_main.h"

#define FLOODERS    4
#define CONNECTIONS 800 /* of each: fewer than any system's limit of descriptors */
#define MAY_HAVE    256 /* descriptors of the server that is flooded */
#define HAS_FEW     48
#define SLOW        100 /* with an eighth of the descriptors that any system allows */

static bool start(struct ga_daemon *daemon, const char *name, const char *path,
                  unsigned descriptors)
{
    struct ga_daemon_setup setup = {.descriptors = descriptors};
    const char *arguments[] = {"--name", ga_daemon_heap(name), "--socket", path, "--reserve", "64M",
                               NULL};
    return ga_daemon_launch(daemon, &setup, arguments) && ga_daemon_wait(daemon);
}

/* Open connections, say nothing, tell `told` and keep them whatever the server does. */
static void flood(const char *path, int told)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            _exit(1);
    }
    if (write(told, "!", 1) != 1)
        _exit(2);
    for (;;)
        pause();
}

static bool attach_and_use(const char *path)
{
    struct goalloc_heap *heap;
    if (goalloc_attach(path, NULL, &heap) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return false;
    }
    char *p = goalloc_malloc(heap, 100000);
    if (p)
        memset(p, 1, 100000);
    goalloc_free(heap, p);
    goalloc_detach(heap);
    return p != NULL;
}

/* Who is slow to say Hello may be sent away with those who say nothing, and comes again. */
static bool attach_before_long(const char *path)
{
    for (int tries = 0; tries < 5; tries++)
        if (attach_and_use(path))
            return true;
    return false;
}

static int count_descriptors(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    int count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static void test_silent(void)
{
    const char *path = ga_daemon_path("silent");
    struct ga_daemon server;
    CU_ASSERT_FATAL(start(&server, "silent", path, MAY_HAVE));
    int told[2];
    CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
    int before = count_descriptors(server.pid);
    pid_t flooders[FLOODERS];
    for (int i = 0; i < FLOODERS; i++) {
        flooders[i] = fork();
        if (flooders[i] == 0)
            flood(path, told[1]);
    }
    close(told[1]);
    CU_ASSERT(attach_before_long(path)); /* while they come */
    CU_ASSERT(attach_before_long(path));
    char byte;
    int done = 0;
    while (done < FLOODERS && read(told[0], &byte, 1) == 1)
        done++;
    CU_ASSERT_EQUAL(done, FLOODERS);
    for (int i = 0; i < 20; i++)
        CU_ASSERT(attach_and_use(path)); /* while they stay */
    /* An eighth of the descriptors is theirs; and as many may have come in the last turn. */
    CU_ASSERT(count_descriptors(server.pid) - before <= MAY_HAVE / 4 + 2);
    CU_ASSERT(ga_daemon_said(&server, "not said Hello, and neither have many others"));
    for (int i = 0; i < FLOODERS; i++) {
        kill(flooders[i], SIGKILL);
        waitpid(flooders[i], NULL, 0);
    }
    close(told[0]);
    CU_ASSERT(attach_and_use(path));
    CU_ASSERT_EQUAL(ga_daemon_end(&server, SIGTERM), 0);
}

static bool is_answered(struct ga_wire *wire)
{
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, &body);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_STATUS;
}

/* A crowd that is stopped between connecting and Hello: it is late, and no flood. */
static void test_slow(void)
{
    static struct ga_wire wires[SLOW];
    const char *path = ga_daemon_path("slow");
    struct ga_daemon server;
    struct ga_wire other;
    CU_ASSERT_FATAL(start(&server, "slow", path, 0));
    for (int i = 0; i < SLOW; i++)
        CU_ASSERT_FATAL(ga_wire_open(&wires[i], path));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&other, path)); /* it has accepted them, then */
    for (int i = 0; i < 10; i++)
        CU_ASSERT(is_answered(&other)); /* and some turns have passed */
    for (int i = 0; i < SLOW; i++)
        CU_ASSERT(ga_wire_greet(&wires[i]) && is_answered(&wires[i]));
    for (int i = 0; i < SLOW; i++)
        ga_wire_close(&wires[i]);
    ga_wire_close(&other);
    CU_ASSERT_EQUAL(ga_daemon_end(&server, SIGTERM), 0);
}

static void test_no_descriptors(void)
{
    static struct ga_wire wires[HAS_FEW];
    const char *path = ga_daemon_path("few");
    struct ga_daemon server;
    CU_ASSERT_FATAL(start(&server, "few", path, HAS_FEW));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(path, NULL, &heap), 0);
    int n = 0;
    while (n < HAS_FEW && ga_wire_open_greeted(&wires[n], path))
        n++;
    CU_ASSERT_FATAL(n > 2 && n < HAS_FEW);
    ga_wire_close(&wires[n]);

    void *p = goalloc_malloc(heap, 1 << 20);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    bool answered = true;
    for (int i = 0; i < n; i++)
        answered = answered && is_answered(&wires[i]);
    CU_ASSERT(answered);

    for (int i = 0; i < n; i++)
        ga_wire_close(&wires[i]);
    bool good = false; /* until the server has seen that they have hung up */
    for (int i = 0; i < 1000 && !good; i++) {
        good = ga_wire_open_attached(&wires[0], path);
        if (!good)
            ga_wire_close(&wires[0]);
        usleep(1000);
    }
    CU_ASSERT_FATAL(good);
    ga_wire_close(&wires[0]);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&server, SIGTERM), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"thousands of connections without Hello", test_silent},
        {"a crowd that is late with Hello", test_slow},
        {"no descriptor left", test_no_descriptors},
    };
    signal(SIGPIPE, SIG_IGN);
    (void)ga_daemon_folder();
    int failed = ga_test_main("flood", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_daemon_clean_up() != 0 || failed;
}
