/* Managed processes that become another program, and that come and go, keep nobody from a
 * collection. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/managed_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CYCLES   40

static struct managed_node *in_static_data;

/* ---- exec ---- */

/* A managed process that becomes another program: one that writes what it reads, which says that it
 * is there. */
static void become_cat(int from, int to)
{
    struct managed_node *own = managed_make_list(MANAGED_LIST);
    if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0 ||
        !managed_is_whole(own, MANAGED_LIST))
        _exit(1);
    execl("/bin/cat", "cat", (char *)NULL);
    _exit(1);
}

/* This one once more, which does the same when it has attached. */
static void become_anew(int from, int to)
{
    struct managed_node *own = managed_make_list(MANAGED_LIST);
    if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0 ||
        !managed_is_whole(own, MANAGED_LIST))
        _exit(1);
    execl("/proc/self/exe", "managed", managed_server.socket, (char *)NULL);
    _exit(1);
}

static int be_anew(const char *socket)
{
    char said;
    snprintf(managed_server.socket, sizeof(managed_server.socket), "%s", socket);
    if (managed_attach(GOALLOC_MANAGED, 0, &managed_heap) < 0)
        return 1;
    struct managed_node *own = managed_make_list(MANAGED_LIST);
    while (read(STDIN_FILENO, &said, 1) == 1 && managed_is_whole(own, MANAGED_LIST))
        if (write(STDOUT_FILENO, &said, 1) != 1)
            return 1;
    return 0;
}

/* It holds nobody up, and what it had goes. */
static void another_program(void (*become)(int from, int to))
{
    managed_open("256M");
    in_static_data = managed_make_list(MANAGED_LIST);
    struct managed_peer peer = managed_start_peer(become);
    CU_ASSERT_EQUAL(write(peer.to, "1", 1), 1);
    CU_ASSERT(managed_hears(&peer));
    uint64_t freed = managed_collect().freed;
    freed += managed_collect().freed; /* it may have been leaving in the first */
    CU_ASSERT(freed >= MANAGED_LIST);
    CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    CU_ASSERT_EQUAL(write(peer.to, "1", 1), 1);
    CU_ASSERT(managed_hears(&peer)); /* and it goes on */
    managed_end_peer(&peer);
    in_static_data = NULL;
    managed_close();
}

static void a_program_that_attaches(void)
{
    another_program(become_anew);
}

static void a_program_that_does_not(void)
{
    another_program(become_cat);
}

/* ---- they come and go ---- */

/* A child for a moment, which then detaches, or is killed. */
static void live_shortly(uint64_t random)
{
    struct goalloc_heap *own = NULL;
    if (managed_attach(GOALLOC_MANAGED, 0, &own) < 0)
        _exit(1);
    for (unsigned i = 0; i < 500; i++)
        if (!goalloc_malloc(own, 100))
            _exit(1);
    poll(NULL, 0, (int)(random % 10));
    if (random % 3 == 0)
        goalloc_detach(own);
    else
        kill(getpid(), SIGKILL);
    _exit(0);
}

/* Not managed itself, so that it goes on when others stand still; until it is told to end. */
static void come_and_go(int from, int to)
{
    uint64_t random = ga_test_seed();
    struct pollfd told = {.fd = from, .events = POLLIN};
    if (write(to, "1", 1) != 1)
        _exit(1);
    int status = 0;
    bool wrong = false;
    while (poll(&told, 1, 0) == 0) {
        pid_t children[3];
        for (unsigned i = 0; i < COUNT(children); i++) {
            uint64_t r = ga_test_random(&random);
            children[i] = fork();
            if (children[i] == 0)
                live_shortly(r);
        }
        for (unsigned i = 0; i < COUNT(children); i++)
            wrong |= waitpid(children[i], &status, 0) < 0 ||
                     (WIFEXITED(status) && WEXITSTATUS(status) != 0);
    }
    _exit(wrong);
}

/* Whoever asks for a collection gets one. */
static void processes_come_and_go(void)
{
    CU_ASSERT_FATAL(ga_test_server_start("256M", &managed_server));
    struct managed_peer peer = managed_start_peer(come_and_go);
    CU_ASSERT(managed_hears(&peer));
    CU_ASSERT_EQUAL_FATAL(managed_attach(GOALLOC_MANAGED, 0, &managed_heap), 0);
    in_static_data = managed_make_list(MANAGED_LIST);
    for (int i = 0; i < CYCLES; i++) {
        (void)managed_collect();
        CU_ASSERT(managed_is_whole(in_static_data, MANAGED_LIST));
    }
    managed_end_peer(&peer);
    in_static_data = NULL;
    managed_close();
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return be_anew(argv[1]);
    const struct ga_test tests[] = {
        {"a program that attaches", a_program_that_attaches},
        {"a program that does not", a_program_that_does_not},
        {"processes come and go", processes_come_and_go},
    };
    return ga_test_main("integration.managed_lives", tests, COUNT(tests));
}
