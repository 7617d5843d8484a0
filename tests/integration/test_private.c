/* The private server: who attaches where nobody serves starts one; processes that do so at once
 * share it; it ends with the last of them and leaves nothing but the lock. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/folder.h"

#define PROCESSES 20

static char folder[GA_TEST_FOLDER_BYTES];
static char socket_path[96];
static char server_script[96];
static char heap_name[64];

static void write_script(const char *text)
{
    FILE *file = fopen(server_script, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    CU_ASSERT(chmod(server_script, 0700) == 0);
}

/* The server under a heap name of the test's own; each start leaves a line, its process id. */
static void use_real_server(void)
{
    char text[512];
    snprintf(text, sizeof(text),
             "#!/bin/sh\necho $$ >>%s/starts\nexec %s \"$@\" --name %s --reserve 64M\n", folder,
             GOALLOCD_PATH, heap_name);
    write_script(text);
}

static pid_t last_start; /* who was the last of those counted */

static int count_starts(void)
{
    char path[96];
    char line[16];
    int n = 0;
    snprintf(path, sizeof(path), "%s/starts", folder);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        last_start = (pid_t)strtol(line, NULL, 10);
        n++;
    }
    if (file)
        fclose(file);
    if (n > 0) /* one that is still empty is about to be written */
        unlink(path);
    return n;
}

static bool is_heap_there(void)
{
    char name[96];
    snprintf(name, sizeof(name), "/goalloc.%s.meta", heap_name);
    int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool comes_to_an_end(void)
{
    for (int i = 0; i < 20000; i++) {
        if (access(socket_path, F_OK) < 0 && !is_heap_there())
            return true;
        usleep(1000);
    }
    return false;
}

/* ---- tests ---- */

static struct goalloc_heap *attach(void)
{
    struct goalloc_heap *heap = NULL;
    int r = goalloc_attach(NULL, NULL, &heap);
    CU_ASSERT_EQUAL(r, 0);
    if (r < 0)
        printf("%s\n", goalloc_attach_error());
    return heap;
}

static void test_one(void)
{
    use_real_server();
    for (int round = 0; round < 2; round++) {
        struct goalloc_heap *heap = attach();
        CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
        CU_ASSERT(is_heap_there());
        void *p = goalloc_malloc(heap, 100);
        CU_ASSERT_PTR_NOT_NULL(p);
        goalloc_free(heap, p);
        goalloc_detach(heap);
        CU_ASSERT(comes_to_an_end());
        CU_ASSERT_EQUAL(count_starts(), 1);
        /* The server is nobody's child here. */
        CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    }
}

/* Attach when told to, and count up in one object of all. Returns 1 for the last of them, 0 for the
 * others, 2 for a failure. */
static char count_up(int go)
{
    char byte;
    struct goalloc_heap *heap = NULL;
    if (read(go, &byte, 1) < 0 || goalloc_attach(NULL, NULL, &heap) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return 2;
    }
    void *found = NULL;
    _Atomic uint64_t *made = goalloc_calloc(heap, 1, sizeof(*made));
    if (!made ||
        (goalloc_publish(heap, "count", made) < 0 && goalloc_lookup(heap, "count", &found) < 0))
        return 2;
    _Atomic uint64_t *count = found ? found : (void *)made;
    return ++*count == PROCESSES;
}

/* In a process of its own, which is killed at the end: nobody detaches in order. */
static void be_one_of_many(int go, int done)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte = count_up(go);
    if (write(done, &byte, 1) == 1)
        pause();
    _exit(1);
}

static void test_many_at_once(void)
{
    pid_t pids[PROCESSES];
    int go[2];
    int done[2];
    use_real_server();
    CU_ASSERT_FATAL(pipe(go) == 0 && pipe(done) == 0);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(go[1]);
            close(done[0]);
            be_one_of_many(go[0], done[1]);
        }
    }
    close(go[0]);
    close(done[1]);
    close(go[1]); /* all of them read the end */
    int reached = 0;
    int answers = 0;
    char byte;
    while (answers < PROCESSES && read(done[0], &byte, 1) == 1) {
        answers++;
        reached += byte;
    }
    CU_ASSERT_EQUAL(answers, PROCESSES);
    CU_ASSERT_EQUAL(reached, 1);
    CU_ASSERT_EQUAL(count_starts(), 1);
    CU_ASSERT(is_heap_there());
    for (int i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < PROCESSES; i++)
        waitpid(pids[i], NULL, 0);
    close(done[0]);
    CU_ASSERT(comes_to_an_end());
}

/* The server of two that are attached is killed: one more is started, for both. */
static void test_killed(void)
{
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 60000};
    struct goalloc_heap *heap = NULL;
    void *found = NULL;
    use_real_server();
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(NULL, &options, &heap), 0);
    char *p = goalloc_malloc(heap, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    snprintf(p, 100, "still here");
    CU_ASSERT_EQUAL(goalloc_publish(heap, "text", p), 0);
    int done[2];
    char good = 0;
    CU_ASSERT_FATAL(pipe(done) == 0);
    CU_ASSERT_EQUAL(count_starts(), 1);
    pid_t other = fork();
    if (other == 0) {
        /* Attached before the kill, it takes part in what comes after it. */
        good = goalloc_lookup(heap, "text", &found) == 0 && write(done[1], "a", 1) == 1 &&
               goalloc_wait(heap, "other", 60000, &found) == 0;
        _exit(good ? 0 : 1);
    }
    CU_ASSERT_EQUAL(read(done[0], &good, 1), 1);
    kill(last_start, SIGKILL);
    void *large = goalloc_malloc(heap, 1 << 20); /* not without a server */
    CU_ASSERT_PTR_NOT_NULL(large);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "text", &found), 0);
    CU_ASSERT_PTR_EQUAL(found, p);
    CU_ASSERT_STRING_EQUAL(p, "still here");
    CU_ASSERT_EQUAL(goalloc_publish(heap, "other", large), 0);
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(other, &status, 0), other);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(count_starts(), 1);
    close(done[0]);
    close(done[1]);
    goalloc_detach(heap);
    CU_ASSERT(comes_to_an_end());
}

/* Attach again and again about the moment at which the server ends. */
static void test_at_the_end(void)
{
    use_real_server();
    for (int i = 0; i < 6; i++) {
        struct goalloc_heap *heap = attach();
        CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
        goalloc_detach(heap);
        for (int k = 0; i % 2 == 0 && k < 20000 && access(socket_path, F_OK) == 0; k++)
            usleep(100);
        if (i % 2)
            usleep(990000 + 5000 * (unsigned)i);
    }
    CU_ASSERT(comes_to_an_end());
    CU_ASSERT(count_starts() >= 3);
}

static void expect_failure(const char *why)
{
    struct goalloc_heap *heap = NULL;
    CU_ASSERT(goalloc_attach(NULL, NULL, &heap) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(goalloc_attach_error(), why));
    if (!strstr(goalloc_attach_error(), why))
        printf("said '%s'\n", goalloc_attach_error());
    CU_ASSERT_PTR_NOT_NULL(strstr(goalloc_attach_error(), socket_path));
}

static void test_failures(void)
{
    write_script("#!/bin/sh\necho 'goallocd: error: no luck today' >&2\nexit 1\n");
    expect_failure("does not start: no luck today");
    write_script("#!/bin/sh\nexit 1\n");
    expect_failure("it did not say why");
    setenv("GOALLOC_SERVER", "/nonexistent/goallocd", 1);
    expect_failure("it cannot be run");
    setenv("GOALLOC_SERVER", server_script, 1);

    /* Only the default socket has a server started. */
    struct goalloc_heap *heap = NULL;
    use_real_server();
    CU_ASSERT_EQUAL(goalloc_attach(socket_path, NULL, &heap), -ENOENT);
    setenv("GOALLOC_SOCKET", socket_path, 1);
    CU_ASSERT_EQUAL(goalloc_attach(NULL, NULL, &heap), -ENOENT);
    unsetenv("GOALLOC_SOCKET");
    CU_ASSERT_EQUAL(count_starts(), 0);
}

static void clean_up(void)
{
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    ga_test_folder_remove(folder);
    for (int i = 0; i < 3; i++) {
        char name[96];
        snprintf(name, sizeof(name), "/goalloc.%s.%s", heap_name, suffixes[i]);
        shm_unlink(name);
    }
}

/* ---- a fork while a server is being started ---- */

static void *attach_in_thread(void *unused)
{
    struct goalloc_heap *heap;
    (void)goalloc_attach(NULL, NULL, &heap);
    return unused;
}

struct born {
    pid_t child;
    pid_t server;
};

/* Start a server that never gets ready, fork meanwhile, tell of both, and be killed. */
static void fork_while_starting(int tell)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct born born;
    pthread_t thread;
    int n = 0;
    if (pthread_create(&thread, NULL, attach_in_thread, NULL) != 0)
        _exit(1);
    while (n == 0 && usleep(1000) == 0)
        n = count_starts();
    born.server = last_start;
    born.child = fork();
    if (born.child == 0)
        for (;;)
            pause();
    if (write(tell, &born, sizeof(born)) != sizeof(born))
        _exit(1);
    pause();
}

/* A child that has nothing to do with the heap keeps nobody from starting a server. */
static void test_fork(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer lets no child of a program with threads be");
    return;
#endif
    char text[256];
    snprintf(text, sizeof(text), "#!/bin/sh\necho $$ >>%s/starts\nexec sleep 60\n", folder);
    write_script(text);
    int ends[2];
    struct born born;
    CU_ASSERT_FATAL(pipe(ends) == 0);
    pid_t parent = fork();
    if (parent == 0)
        fork_while_starting(ends[1]);
    CU_ASSERT_EQUAL_FATAL(read(ends[0], &born, sizeof(born)), sizeof(born));
    kill(parent, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(parent, NULL, 0), parent);
    kill(born.server, SIGKILL);

    use_real_server();
    struct goalloc_heap *heap = attach();
    goalloc_detach(heap);
    CU_ASSERT(comes_to_an_end());
    CU_ASSERT_EQUAL(count_starts(), 1);
    kill(born.child, SIGKILL);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    if (access("/run/goalloc/goalloc.sock", W_OK) == 0) {
        printf("skipped: this machine has a heap that comes before private ones\n");
        return 77;
    }
    static const struct ga_test tests[] = {
        {"one process", test_one},
        {"many at once", test_many_at_once},
        {"a server that is killed", test_killed},
        {"while the server ends", test_at_the_end},
        {"a server that does not start", test_failures},
        {"a fork while a server is started", test_fork},
    };
    if (!ga_test_folder_make(folder))
        return 2;
    snprintf(socket_path, sizeof(socket_path), "%s/goalloc.sock", folder);
    snprintf(server_script, sizeof(server_script), "%s/server", folder);
    snprintf(heap_name, sizeof(heap_name), "test-%d-private", (int)getpid());
    unsetenv("GOALLOC_SOCKET");
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("GOALLOC_SERVER", server_script, 1);
    int failed = ga_test_main("private", tests, sizeof(tests) / sizeof(tests[0]));
    clean_up();
    return failed;
}
