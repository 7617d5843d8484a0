/* Programs in containers: each in mount, PID and IPC namespaces of its own, with a root of its own
 * that has nothing of the machine but the folder of the socket and /dev/shm, mounted there. They
 * share a heap, and one that is killed is known by its end. A server that is itself in a PID
 * namespace refuses whom it does not see. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"
#include "support/server_fixture.h"

enum { NOBJECTS = 300, OBJECT_BYTES = 100, PATIENCE = 1000 };

struct container {
    pid_t pid; /* as this process sees it */
    int line;  /* to what it runs: a byte asks, a byte answers */
};

struct shared {
    void *objects[NOBJECTS];
    void *answer;
};

static struct ga_test_server server;

/* ---- a container ---- */

static bool bind_folder(const char *from, const char *root, const char *to)
{
    char path[160];
    snprintf(path, sizeof(path), "%s%s", root, to);
    return mkdir(path, 0755) == 0 && mount(from, path, NULL, MS_BIND | MS_REC, NULL) == 0;
}

/* In the container: its root. Where proc may not be mounted, as within other containers, there is
 * none: a client does without. */
static bool enter_root(void)
{
    char root[96];
    char proc[128];
    char dev[128];
    snprintf(root, sizeof(root), "%s/root", ga_daemon_folder());
    snprintf(proc, sizeof(proc), "%s/proc", root);
    snprintf(dev, sizeof(dev), "%s/dev", root);
    if (mount("tmpfs", root, "tmpfs", 0, NULL) < 0 || mkdir(dev, 0755) < 0 ||
        !bind_folder("/dev/shm", root, "/dev/shm") || !bind_folder(server.folder, root, "/run"))
        return false;
    if (mkdir(proc, 0755) == 0)
        (void)mount("proc", proc, "proc", 0, NULL);
    return chroot(root) == 0 && chdir("/") == 0;
}

/* Begin work in new namespaces. It answers each byte of the line with one, and ends with the line.
 */
static bool start(struct container *ret, void (*work)(int line))
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid_t pid =
        (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        close(ends[0]);
        work(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    *ret = (struct container){.pid = pid, .line = ends[0]};
    return pid > 0;
}

static bool ask(const struct container *container)
{
    char answer = 'n';
    return send(container->line, "?", 1, MSG_NOSIGNAL) == 1 &&
           read(container->line, &answer, 1) == 1 && answer == 'y';
}

static void end(struct container *container, int signal_number)
{
    close(container->line);
    if (signal_number)
        kill(container->pid, signal_number);
    waitpid(container->pid, NULL, 0);
}

/* In a container: wait to be asked. */
static bool is_asked(int line)
{
    char question;
    return read(line, &question, 1) == 1;
}

static void answer(int line, bool good)
{
    (void)!write(line, good ? "y" : "n", 1);
}

/* ---- what runs in them ---- */

static struct goalloc_heap *attach_inside(void)
{
    struct goalloc_heap *heap = NULL;
    static const struct goalloc_options options = {.size = sizeof(options),
                                                   .policy = GOALLOC_POLICY_PRIVATE};
    if (getpid() != 1 || !enter_root())
        fprintf(stderr, "no container: %s\n", strerror(errno));
    else if (goalloc_attach("/run/sock", &options, &heap) < 0)
        fprintf(stderr, "%s\n", goalloc_attach_error());
    return heap;
}

/* Publish a list of objects, and then wait to be killed with much in hand. */
static void publisher(int line)
{
    struct goalloc_heap *heap = attach_inside();
    bool good = is_asked(line) && heap;
    struct shared *shared = good ? goalloc_calloc(heap, 1, sizeof(*shared)) : NULL;
    for (int i = 0; shared && i < NOBJECTS; i++) {
        shared->objects[i] = goalloc_malloc(heap, OBJECT_BYTES);
        good = good && shared->objects[i] && memset(shared->objects[i], i, OBJECT_BYTES);
    }
    answer(line, shared && good && goalloc_publish(heap, "shared", shared) == 0);
    if (is_asked(line)) /* whether the other's answer is there */
        answer(line, shared && shared->answer &&
                         memcmp(shared->answer, "from the other container", 25) == 0);
    (void)is_asked(line);
}

/* Find the list, read and free what it leads to, answer with an object; and go on when asked. */
static void finder(int line)
{
    struct goalloc_heap *heap = attach_inside();
    struct shared *shared = NULL;
    bool good = is_asked(line) && heap && goalloc_wait(heap, "shared", 5000, (void **)&shared) == 0;
    for (int i = 0; good && i < NOBJECTS; i++) {
        const unsigned char *bytes = shared->objects[i];
        good = bytes[0] == (unsigned char)i && bytes[OBJECT_BYTES - 1] == (unsigned char)i;
        if (i % 2)
            goalloc_free(heap, shared->objects[i]);
    }
    if (good)
        shared->answer = goalloc_malloc(heap, OBJECT_BYTES);
    if (good && shared->answer)
        memcpy(shared->answer, "from the other container", 25);
    answer(line, good && shared->answer);
    while (is_asked(line)) {
        void *p = heap ? goalloc_malloc(heap, 1 << 20) : NULL; /* asks the server */
        answer(line, p != NULL);
        goalloc_free(heap, p);
    }
    goalloc_detach(heap);
}

/* ---- outside ---- */

/* A number out of what goallocctl says; UINT64_MAX where it says none. */
static uint64_t ask_server(const char *command, const char *key)
{
    struct ga_run run = {0};
    const char *arguments[] = {"--socket", server.socket, "--json", command, NULL};
    uint64_t number = UINT64_MAX;
    if (ga_run(&run, GOALLOCCTL_PATH, arguments) && run.code == 0)
        number = ga_json_number_of(run.out, key);
    ga_run_fini(&run);
    return number;
}

static bool is_client(pid_t pid)
{
    struct ga_run run = {0};
    char text[32];
    const char *arguments[] = {"--socket", server.socket, "--json", "clients", NULL};
    snprintf(text, sizeof(text), "\"pid\": %d,", (int)pid);
    bool is = ga_run(&run, GOALLOCCTL_PATH, arguments) && run.code == 0 && strstr(run.out, text);
    ga_run_fini(&run);
    return is;
}

static bool objects_become(uint64_t number)
{
    uint64_t is = UINT64_MAX;
    for (int i = 0; i < PATIENCE && is != number; i++) {
        usleep(i ? 10000 : 0);
        is = ask_server("stats", "heap_objects");
    }
    if (is != number)
        fprintf(stderr, "%llu objects, and not %llu\n", (unsigned long long)is,
                (unsigned long long)number);
    return is == number;
}

/* The server sees the pids of the machine, and takes back what the killed one had. */
static void two_containers(void)
{
    struct container a;
    struct container b;
    CU_ASSERT_FATAL(ga_test_server_start("64M", &server));
    CU_ASSERT_FATAL(start(&a, publisher));
    CU_ASSERT_FATAL(start(&b, finder));
    CU_ASSERT_FATAL(ask(&a));
    CU_ASSERT_FATAL(ask(&b));
    CU_ASSERT(ask(&a));
    CU_ASSERT(is_client(a.pid) && is_client(b.pid));
    CU_ASSERT(objects_become(NOBJECTS / 2 + 2));
    end(&a, SIGKILL);
    CU_ASSERT(objects_become(1)); /* the answer, of the one that lives */
    CU_ASSERT_FALSE(is_client(a.pid));
    CU_ASSERT(is_client(b.pid));
    CU_ASSERT(ask(&b));

    ga_test_server_kill(&server);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, "64M"));
    CU_ASSERT(ask(&b));
    CU_ASSERT(is_client(b.pid));
    end(&b, 0);
    CU_ASSERT(objects_become(0));
    CU_ASSERT(ga_test_server_stop(&server));
}

static char heap_inside[64];
static char socket_inside[108];

static void serve(int line)
{
    answer(line, true); /* there is nobody to ask: it becomes the server */
    execl(GOALLOCD_PATH, "goallocd", "--name", heap_inside, "--socket", socket_inside,
          "--ephemeral", "--reserve", "64M", "--log-level", "warning", (char *)NULL);
}

static void do_nothing(int line)
{
    (void)line;
}

static void server_inside(void)
{
    struct container inside;
    struct goalloc_heap *heap = NULL;
    snprintf(heap_inside, sizeof(heap_inside), "%s", ga_daemon_heap("inside"));
    snprintf(socket_inside, sizeof(socket_inside), "%s", ga_daemon_path("inside"));
    CU_ASSERT_FATAL(start(&inside, serve));
    int r = -ENOENT;
    for (int i = 0; i < PATIENCE && (r == -ENOENT || r == -ECONNREFUSED); i++) {
        usleep(i ? 10000 : 0);
        r = goalloc_attach(socket_inside, NULL, &heap);
    }
    CU_ASSERT_EQUAL(r, -EPERM);
    char sentence[400];
    snprintf(sentence, sizeof(sentence),
             "%s: the server does not see the client's process: it has ended, or is of another pid "
             "namespace: run goallocd on the host, or in a container whose pid namespace the "
             "clients share",
             socket_inside);
    CU_ASSERT_STRING_EQUAL(goalloc_attach_error(), sentence);
    end(&inside, SIGTERM);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"two containers, one is killed, the server too", two_containers},
        {"a server in a container", server_inside},
    };
    if (ga_private_shm_enter("64m") < 0)
        return 77;
    char root[96];
    snprintf(root, sizeof(root), "%s/root", ga_daemon_folder());
    if (mkdir(root, 0755) < 0)
        return 1;
    int r = 77;
    struct container first;
    if (start(&first, do_nothing)) {
        end(&first, 0);
        r = ga_test_main("containers", tests, sizeof(tests) / sizeof(tests[0]));
    } else {
        printf("skipped: pid namespaces are refused here: %s\n", strerror(errno));
    }
    ga_daemon_clean_up();
    return r;
}
