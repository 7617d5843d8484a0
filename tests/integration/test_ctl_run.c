/* goallocctl run: what is left by programs that leave known objects, exit codes, signals, and that
 * nothing of the heap stays, whoever is killed. The programs are this test itself, called with
 * words.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/json_check.h"
#include "support/cunit_main.h"
#include "support/folder.h"

enum { PATIENCE_MS = 20000, TEXT_BYTES = 65536 };
#define SELF self
static char self[4096]; /* the path of this program */

/* ---- the programs ---- */

static struct goalloc_heap *heap;

__attribute__((noinline)) static void leak(int n, size_t size)
{
    for (int i = 0; i < n; i++)
        if (!goalloc_malloc(heap, size))
            abort();
}

/* Places that are named in what is told of leaks. Each keeps itself from being a jump to what it
 * calls, which would be no call of its own. */
#define PLACE  __attribute__((noinline, used)) static
#define NSMALL 30000

PLACE void place_one(void)
{
    static const size_t volatile sizes[] = {1024, 100000, 1024, 100000};
    static const int volatile count = 4; /* known, the loop may be four calls */
    for (int i = 0; i < count; i++)
        leak(2, sizes[i]); /* of two sizes, by one call */
    __asm__ volatile("" : : : "memory");
}

/* So many that they lie close together. */
PLACE void place_two(void)
{
    leak(NSMALL, 32);
    __asm__ volatile("" : : : "memory");
}

PLACE void place_that_frees(void)
{
    void *objects[1000];
    for (size_t i = 0; i < 1000; i++)
        objects[i] = goalloc_malloc(heap, 16 + i);
    for (size_t i = 0; i < 1000; i++)
        goalloc_free(heap, objects[i]);
}

PLACE void place_for_all(int n)
{
    void **list = NULL;
    for (int i = 0; i < n; i++) {
        void **object = goalloc_malloc(heap, 200);
        if (!object)
            abort();
        *object = list;
        list = object;
    }
    if (goalloc_publish(heap, "list", list) < 0)
        abort();
}

/* As many stacks as n, and one. */
PLACE void place_in_many(int n) // NOLINT(misc-no-recursion)
{
    leak(1, 64);
    if (n > 0)
        place_in_many(n - 1);
    __asm__ volatile("" : : : "memory");
}

/* Two objects that the other processes can find. */
static void keep(void)
{
    void **first = goalloc_calloc(heap, 1, 64);
    if (!first || !(*first = goalloc_malloc(heap, 500)) || goalloc_publish(heap, "kept", first) < 0)
        abort();
}

static volatile sig_atomic_t got;

static void on_signal(int number)
{
    got = number;
}

/* Say on standard output that a signal may come, and end with its number; or with goallocctl. */
static int wait_for_signal(void)
{
    pid_t parent = getppid();
    signal(SIGUSR1, on_signal);
    signal(SIGTERM, on_signal);
    puts("ready");
    fflush(stdout);
    while (!got && getppid() == parent)
        poll(NULL, 0, 1);
    return got;
}

/* Ask the server for something, again and again, when goallocctl has been killed. */
static int go_on_without_parent(void)
{
    pid_t parent = getppid();
    puts("ready");
    fflush(stdout);
    while (getppid() == parent)
        poll(NULL, 0, 1);
    for (int i = 0; i < 50; i++) {
        void *old = NULL;
        void *object = goalloc_malloc(heap, 2u << 20);
        if (!object || goalloc_replace(heap, "object", object, &old) < 0)
            abort();
        goalloc_free(heap, old);
        poll(NULL, 0, 10);
    }
    puts("went on");
    fflush(stdout);
    return 0;
}

/* A child that the program does not wait for, and that leaves something of its own. */
static void orphan(void)
{
    pid_t parent = getpid();
    if (fork() != 0)
        return;
    alarm(60);
    while (getppid() == parent)
        poll(NULL, 0, 1);
    leak(5, 100);
    _exit(0);
}

static void kill_and_wait(pid_t pid)
{
    struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    kill(pid, SIGKILL);
    poll(&gone, 1, PATIENCE_MS);
    close(gone.fd);
}

/* The other child of our parent is the server. */
static void kill_server(void)
{
    char path[64];
    intmax_t pid;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getppid(), (int)getppid());
    FILE *list = fopen(path, "r");
    while (list && fscanf(list, "%jd", &pid) == 1)
        if (pid != getpid())
            kill_and_wait((pid_t)pid);
    if (list)
        fclose(list);
}

/* Words: what is to be done, in turn. The last one may be a number, the exit code. */
static int program(int argc, char **argv)
{
    alarm(120);
    struct goalloc_options options = {.size = sizeof(options)};
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "unreachable") == 0)
            options.policy = GOALLOC_POLICY_UNREACHABLE;
    if (goalloc_attach(NULL, &options, &heap) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return 99;
    }
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "leak") == 0)
            leak(10, 100);
        else if (strcmp(argv[i], "large") == 0)
            leak(1, 100000);
        else if (strcmp(argv[i], "one") == 0)
            place_one();
        else if (strcmp(argv[i], "two") == 0)
            place_two();
        else if (strcmp(argv[i], "frees") == 0)
            place_that_frees();
        else if (strcmp(argv[i], "list") == 0)
            place_for_all(3);
        else if (strcmp(argv[i], "many") == 0)
            place_in_many(24);
        else if (strcmp(argv[i], "keep") == 0)
            keep();
        else if (strcmp(argv[i], "orphan") == 0)
            orphan();
        else if (strcmp(argv[i], "abort") == 0)
            abort();
        else if (strcmp(argv[i], "killserver") == 0)
            kill_server();
        else if (strcmp(argv[i], "signal") == 0)
            return wait_for_signal();
        else if (strcmp(argv[i], "goon") == 0)
            return go_on_without_parent();
        else if (argv[i][0] >= '0' && argv[i][0] <= '9')
            return atoi(argv[i]);
    }
    goalloc_detach(heap);
    return 0;
}

/* ---- goallocctl, running one ---- */

static struct {
    pid_t pid;
    int out;
    int err;
    char text[TEXT_BYTES]; /* of what it has said on stderr */
    char out_text[TEXT_BYTES];
} ctl;

static void slurp(int fd, char *text)
{
    ssize_t n = pread(fd, text, TEXT_BYTES - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* A list ending in NULL, without "goallocctl run". */
static void begin(const char *const *words)
{
    char *argv[32] = {(char *)(uintptr_t) "goallocctl", (char *)(uintptr_t) "run",
                      (char *)(uintptr_t) "--reserve=64M"};
    for (int i = 3; *words; i++)
        argv[i] = (char *)(uintptr_t)*words++;
    ctl.out = memfd_create("out", MFD_CLOEXEC);
    ctl.err = memfd_create("err", MFD_CLOEXEC);
    ctl.pid = fork();
    if (ctl.pid == 0) {
        dup2(ctl.out, STDOUT_FILENO);
        dup2(ctl.err, STDERR_FILENO);
        execv(GOALLOCCTL_PATH, argv);
        _exit(98);
    }
}

static bool is_left(void)
{
    char path[128];
    bool left = false;
    for (int i = 0; i < 3; i++) {
        static const char *const objects[] = {"meta", "bits", "heap"};
        snprintf(path, sizeof(path), "/dev/shm/goalloc.run-%d.%s", (int)ctl.pid, objects[i]);
        left = access(path, F_OK) == 0 || left;
    }
    const char *folder = getenv("XDG_RUNTIME_DIR");
    snprintf(path, sizeof(path), "%s/goalloc-run-%d.sock", folder, (int)ctl.pid);
    return access(path, F_OK) == 0 || left;
}

/* Its exit code, or 256 + the signal that killed it. */
static int end(void)
{
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(ctl.pid, &status, 0), ctl.pid);
    slurp(ctl.out, ctl.out_text);
    slurp(ctl.err, ctl.text);
    CU_ASSERT_FALSE(is_left() && WIFEXITED(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

#define RUN(...) (begin((const char *const[]){__VA_ARGS__, NULL}), end())
#define SAYS(needle)                                                                               \
    do {                                                                                           \
        CU_ASSERT_PTR_NOT_NULL(strstr(ctl.text, needle));                                          \
        if (!strstr(ctl.text, needle))                                                             \
            fprintf(stderr, "\"%s\" is not in: %s", needle, ctl.text);                             \
    } while (0)

static uint64_t number(const char *key)
{
    uint64_t value = UINT64_MAX;
    char name[64];
    snprintf(name, sizeof(name), "\"%s\": ", key);
    const char *p = strstr(ctl.text, name);
    return p ? strtoull(p + strlen(name), NULL, 10) : value;
}

/* ---- what is left ---- */

static void nothing_is_left(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", "--error-exitcode", "7", SELF, "0"), 0);
    CU_ASSERT_STRING_EQUAL(ctl.text, "goallocctl: nothing is left in the heap\n");
    CU_ASSERT_EQUAL(RUN("--quiet", "--leak-check", SELF, "keep", "4"), 4);
    CU_ASSERT_STRING_EQUAL(ctl.text, "");
    /* A program that knows nothing of goalloc. */
    CU_ASSERT_EQUAL(RUN("echo", "--json"), 0);
    CU_ASSERT_STRING_EQUAL(ctl.out_text, "--json\n");
}

static void what_is_lost(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", "--json", SELF, "keep", "leak", "large", "3"), 3);
    CU_ASSERT(ga_json_is_valid(ctl.text));
    CU_ASSERT_EQUAL(number("objects"), 13);
    CU_ASSERT_EQUAL(number("lost_objects"), 11);
    CU_ASSERT_EQUAL(number("lost_bytes"), 10 * 112 + 13 * 8192);
    CU_ASSERT_EQUAL(number("bytes"), 10 * 112 + 13 * 8192 + 64 + 512);
    CU_ASSERT_EQUAL(number("roots"), 1);
    CU_ASSERT_EQUAL(number("status"), 3);
    CU_ASSERT_EQUAL(ga_json_count(ctl.text, "size_class"), 2);
    CU_ASSERT_EQUAL(RUN("--leak-check", "--error-exitcode=7", "--", SELF, "keep", "leak"), 7);
    SAYS("goallocctl: 1.7 KiB in 12 objects are left in the heap\n");
    SAYS("lost       1.1 KiB in 10 objects: no root reaches them\n");
    SAYS("reachable  576 B in 2 objects");
    CU_ASSERT_EQUAL(RUN("--leak-check", "--error-exitcode=7", SELF, "keep"), 0);
    CU_ASSERT_EQUAL(RUN(SELF, "leak"), 0);
    SAYS("goallocctl: 1.1 KiB in 10 objects are left in the heap\n");
    CU_ASSERT_PTR_NULL(strstr(ctl.text, "lost"));
}

/* What is left at place, of the list called "places": the line that names it. */
static uint64_t number_at(const char *place, const char *key)
{
    char name[64];
    const char *at = strstr(ctl.text, place);
    if (!at)
        return UINT64_MAX;
    while (at > ctl.text && at[-1] != '\n')
        at--;
    snprintf(name, sizeof(name), "\"%s\": ", key);
    const char *p = strstr(at, name);
    return p ? strtoull(p + strlen(name), NULL, 10) : UINT64_MAX;
}

static void where_it_was_allocated(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", "--json", SELF, "one", "two", "frees", "list"), 0);
    CU_ASSERT(ga_json_is_valid(ctl.text));
    CU_ASSERT_EQUAL(number("lost_objects"), NSMALL + 8);
    CU_ASSERT_EQUAL(number_at("place_one", "lost_bytes"), 4 * 1024 + 4 * 13 * 8192);
    CU_ASSERT_EQUAL(number_at("place_one", "lost_objects"), 8);
    CU_ASSERT_EQUAL(number_at("place_one", "reachable_objects"), 0);
    CU_ASSERT_EQUAL(number_at("place_two", "lost_objects"), NSMALL);
    CU_ASSERT_EQUAL(number_at("place_two", "lost_bytes"), NSMALL * 32);
    CU_ASSERT_EQUAL(number_at("place_for_all", "lost_objects"), 0);
    CU_ASSERT_EQUAL(number_at("place_for_all", "reachable_objects"), 3);
    CU_ASSERT_EQUAL(number_at("place_for_all", "reachable_bytes"), 3 * 208);
    CU_ASSERT_PTR_NULL(strstr(ctl.text, "place_that_frees"));
}

static void where_in_words(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", SELF, "one", "two", "list"), 0);
    SAYS("960,000 bytes in 30,000 objects are lost, allocated by process ");
    SAYS("430,080 bytes in 8 objects are lost, allocated by process ");
    SAYS(" (integration_ctl_run) at:\n    leak (integration_ctl_run)\n    place_one (");
    SAYS("624 bytes in 3 objects are reachable, allocated by process ");
    CU_ASSERT_PTR_NULL(strstr(ctl.text, "not known where"));
    const char *more = strstr(ctl.text, "960,000 bytes");
    CU_ASSERT(more && strstr(more, "430,080 bytes")); /* the largest first */
    CU_ASSERT_EQUAL(RUN("--leak-check", SELF, "many"), 0);
    SAYS("\n  and 5 more places, where 320 bytes in 5 objects are lost\n");
    /* What is not sampled is told of nevertheless. */
    setenv("GOALLOC_PROFILE_RATE", "0", 1);
    CU_ASSERT_EQUAL(RUN("--leak-check", SELF, "leak"), 0);
    unsetenv("GOALLOC_PROFILE_RATE");
    SAYS("\n  1,120 bytes in 10 objects are lost, and it is not known where allocated\n");
    CU_ASSERT_EQUAL(RUN("--leak-check", SELF, "frees"), 0);
    CU_ASSERT_STRING_EQUAL(ctl.text, "goallocctl: nothing is left in the heap\n");
}

/* A program's name is shown, and not obeyed. */
static void names_are_shown(void)
{
    char strange[4200];
    snprintf(strange, sizeof(strange), "%s\033[31m", self);
    unlink(strange); /* where this test was killed before */
    if (link(self, strange) < 0)
        CU_FAIL_FATAL("a link beside the program");
    CU_ASSERT_EQUAL(RUN("--leak-check", strange, "leak"), 0);
    SAYS("(integration_ctl_run\\x1b[31m) at:\n    leak (integration_ctl_run\\x1b[31m)\n");
    CU_ASSERT_PTR_NULL(strchr(ctl.text, '\033'));
    unlink(strange);
}

/* What the server frees by itself is no leak. */
static void what_is_collected(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", "--json", SELF, "unreachable", "keep", "leak"), 0);
    CU_ASSERT_EQUAL(number("objects"), 2);
    CU_ASSERT_EQUAL(number("lost_objects"), 0);
}

static void children_are_waited_for(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", "--json", SELF, "leak", "orphan", "orphan", "6"), 6);
    CU_ASSERT_EQUAL(number("lost_objects"), 20);
}

static void account_in_a_file(void)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof(path), "%s/account", getenv("XDG_RUNTIME_DIR"));
    CU_ASSERT_EQUAL(RUN("-o", path, "--leak-check", "--json", SELF, "leak", "2"), 2);
    CU_ASSERT_STRING_EQUAL(ctl.text, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    CU_ASSERT_FATAL(n > 0);
    text[n] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"lost_objects\": 10,"));
    close(fd);
    unlink(path);
    CU_ASSERT_EQUAL(RUN("-o", "/nonexistent/account", SELF, "leak"), 125);
    SAYS("'/nonexistent/account' cannot be written");
}

/* ---- how it ends ---- */

static void exit_codes(void)
{
    CU_ASSERT_EQUAL(RUN(SELF, "200"), 200);
    CU_ASSERT_EQUAL(RUN("/nonexistent/program"), 127);
    SAYS("'/nonexistent/program' cannot be run: No such file or directory");
    CU_ASSERT_EQUAL(RUN("no-such-program-anywhere"), 127);
    CU_ASSERT_EQUAL(RUN("/dev/null"), 126);
    SAYS("'/dev/null' cannot be run: Permission denied");
    CU_ASSERT_EQUAL(RUN(SELF, "abort"), 128 + SIGABRT);
    SAYS("was killed by SIGABRT");
    CU_ASSERT_EQUAL(RUN("--limit", "3", SELF), 2);
    SAYS("--limit: '3' is not allowed");
    CU_ASSERT_EQUAL(RUN("--gc-percent", "x", SELF), 2);
    CU_ASSERT_EQUAL(RUN("--error-exitcode", "0", "--leak-check", SELF), 2);
    CU_ASSERT_EQUAL(RUN("--error-exitcode", "3", SELF), 2);
    CU_ASSERT_EQUAL(RUN("--leak-check"), 2);
    /* The limit is the heap's. */
    CU_ASSERT_EQUAL(RUN("--limit=1M", SELF, "large", "large", "large", "large", "large", "large",
                        "large", "large", "large", "large", "large", "large"),
                    128 + SIGABRT);
    setenv("GOALLOC_SERVER", "/nonexistent/goallocd", 1);
    CU_ASSERT_EQUAL(RUN(SELF), 125);
    unsetenv("GOALLOC_SERVER");
}

static void wait_until_ready(void)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        char byte;
        if (pread(ctl.out, &byte, 1, 0) == 1)
            return;
        poll(NULL, 0, 1);
    }
    char text[TEXT_BYTES];
    CU_FAIL("the program does not begin");
    text[pread(ctl.err, text, TEXT_BYTES - 1, 0)] = '\0';
    fprintf(stderr, "goallocctl says: %s", text);
}

static void signals_are_sent_on(void)
{
    begin((const char *const[]){SELF, "leak", "signal", NULL});
    wait_until_ready();
    kill(ctl.pid, SIGUSR1);
    CU_ASSERT_EQUAL(end(), SIGUSR1);
    SAYS("in 10 objects are left");
    begin((const char *const[]){SELF, "leak", "signal", NULL});
    wait_until_ready();
    kill(ctl.pid, SIGTERM);
    CU_ASSERT_EQUAL(end(), SIGTERM);
    /* SIGHUP it does not handle, so it is killed by it. */
    begin((const char *const[]){SELF, "leak", "signal", NULL});
    wait_until_ready();
    kill(ctl.pid, SIGHUP);
    CU_ASSERT_EQUAL(end(), 128 + SIGHUP);
    SAYS("was killed by SIGHUP");
    SAYS("in 10 objects are left");
}

/* When the program has ended, signals are for those that it has left. */
static void signals_for_orphans(void)
{
    begin((const char *const[]){"sh", "-c", "sleep 1000 & echo ready", NULL});
    wait_until_ready();
    siginfo_t info = {.si_pid = 0};
    for (int ms = 0; ms < PATIENCE_MS && info.si_pid == 0; ms++) {
        kill(ctl.pid, SIGTERM);
        poll(NULL, 0, 1);
        waitid(P_PID, (id_t)ctl.pid, &info, WEXITED | WNOHANG | WNOWAIT);
    }
    int code = end();
    CU_ASSERT(code == 0 || code == 128 + SIGTERM); /* sh may not have ended at the first one */
}

/* Nobody can forbid SIGKILL: then program and server go on, and the server ends with the program
 * and takes the heap with it. */
static void killed(void)
{
    begin((const char *const[]){SELF, "leak", "goon", NULL});
    wait_until_ready();
    CU_ASSERT(is_left());
    int out = dup(ctl.out);
    kill(ctl.pid, SIGKILL);
    CU_ASSERT_EQUAL(end(), 256 + SIGKILL);
    int ms = 0;
    while (is_left() && ms++ < PATIENCE_MS)
        poll(NULL, 0, 1);
    CU_ASSERT_FALSE(is_left());
    slurp(out, ctl.out_text);
    CU_ASSERT_STRING_EQUAL(ctl.out_text, "ready\nwent on\n");
}

static void server_killed(void)
{
    CU_ASSERT_EQUAL(RUN("--leak-check", SELF, "leak", "killserver", "5"), 5);
    SAYS("the server of the heap has ended before the program");
}

int main(int argc, char **argv)
{
    static const struct ga_test tests[] = {
        {"nothing is left", nothing_is_left},
        {"what is lost", what_is_lost},
        {"where it was allocated", where_it_was_allocated},
        {"where in words", where_in_words},
        {"names are shown", names_are_shown},
        {"what is collected", what_is_collected},
        {"children are waited for", children_are_waited_for},
        {"an account in a file", account_in_a_file},
        {"exit codes", exit_codes},
        {"signals are sent on", signals_are_sent_on},
        {"signals for orphans", signals_for_orphans},
        {"killed", killed},
        {"the server is killed", server_killed},
    };
    if (argc > 1)
        return program(argc - 1, argv + 1);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 1;
    char folder[GA_TEST_FOLDER_BYTES];
    if (!ga_test_folder_make(folder) || setenv("XDG_RUNTIME_DIR", folder, 1) < 0)
        return 1;
    unsetenv("GOALLOC_SOCKET");
    int code = ga_test_main("integration.ctl_run", tests, sizeof(tests) / sizeof(tests[0]));
    return rmdir(folder) == 0 ? code : 1; /* nothing is left in it */
}
