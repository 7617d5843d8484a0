/* A hostile client does all that it can, as a process of the server's own user: each deed by
 * itself; all of them at once, while a crowd is at work in another heap; and while servers are
 * killed and take the heap over. After each, the server is judged by an idle client (hostile.h). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/hostile.h"
#include "support/crowd.h"
#include "support/cunit_main.h"

#define STEPS       200u
#define STEPS_SHORT 40u /* of one among many */
#define ALL_MAX     32
#define LONG_MS     60000 /* a sanitizer on a busy machine */
#define LOG_TRIES   2000
#define LOG_WAIT_US 5000

static struct ga_daemon server;
static const char *heap;
static const char *path;
static struct ga_judge judge;
static uint64_t seed;

static bool start(void)
{
    const char *arguments[] = {"--name",
                               heap,
                               "--socket",
                               path,
                               "--reserve",
                               "64M",
                               "--quota",
                               "bytes=48M,spans=4000,mcaches=200,roots=100,holds=100,"
                               "connections=300",
                               NULL};
    return ga_daemon_start(&server, 0, arguments);
}

/* Its end: in order, without a word of a sanitizer. */
static void expect_end(int signal_number, int code)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&server, signal_number), code);
    bool sane = !strstr(server.text, "Sanitizer") && !strstr(server.text, "runtime error") &&
                !strstr(server.text, "Assertion");
    CU_ASSERT(sane);
    if (!sane)
        fprintf(stderr, "%s", server.text);
}

static bool says(const char *needle)
{
    for (int i = 0; i < LOG_TRIES; i++) {
        if (ga_daemon_said(&server, needle))
            return true;
        usleep(LOG_WAIT_US);
    }
    fprintf(stderr, "not in the log: %s\n", needle);
    return false;
}

/* ---- the culprit ---- */

struct culprit {
    pid_t pid;
    int done; /* something comes when the deed is done; the culprit stays until it is killed */
};

static void be_hostile(const struct ga_deed *deed, uint32_t steps, int done)
{
    struct ga_hostile hostile = {
        .heap = heap, .socket = path, .random = seed ^ (uint64_t)getpid(), .steps = steps};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    deed->run(&hostile);
    if (write(done, hostile.served ? "!" : "x", 1) == 1)
        pause();
    _exit(1);
}

static struct culprit begin(const struct ga_deed *deed, uint32_t steps)
{
    int done[2];
    CU_ASSERT_FATAL(pipe(done) == 0);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0)
        be_hostile(deed, steps, done[1]);
    close(done[1]);
    return (struct culprit){pid, done[0]};
}

/* Whether the deed comes to its end, also a violent one, and was not given what it must not be. */
static bool is_done(const struct culprit *culprit)
{
    struct pollfd done = {.fd = culprit->done, .events = POLLIN};
    char said = 'x';
    return poll(&done, 1, LONG_MS) == 1 && read(culprit->done, &said, 1) >= 0 && said == 'x';
}

static void end(struct culprit *culprit)
{
    kill(culprit->pid, SIGKILL);
    close(culprit->done);
    CU_ASSERT_EQUAL(waitpid(culprit->pid, NULL, 0), culprit->pid);
}

/* ---- each by itself ---- */

static void expect_quarantine(const struct culprit *culprit, const char *guilt)
{
    char line[256];
    snprintf(line, sizeof(line), "process %d of user %u, client ", (int)culprit->pid,
             (unsigned)getuid());
    CU_ASSERT(says(line));
    snprintf(line, sizeof(line), "is in quarantine: %s", guilt);
    CU_ASSERT(says(line));
    CU_ASSERT(ga_judge_sees_quarantine(&judge, (uint32_t)culprit->pid));
}

/* A program that comes after the deed looks at the header of bits, which the culprit could write.
 */
static bool newcomer_attaches(void)
{
    struct goalloc_heap *newcomer;
    int r = goalloc_attach(path, NULL, &newcomer);
    if (r == 0)
        goalloc_detach(newcomer);
    else
        fprintf(stderr, "newcomer: %s\n", goalloc_attach_error());
    return r == 0;
}

static void test_each(void)
{
    for (const struct ga_deed *deed = ga_deeds; deed->name; deed++) {
        struct culprit culprit = begin(deed, STEPS);
        CU_ASSERT(is_done(&culprit));
        if (deed->guilt)
            expect_quarantine(&culprit, deed->guilt);
        if (deed->said)
            CU_ASSERT(says(deed->said));
        bool right = ga_judge_finds_all_right(&judge, heap);
        end(&culprit);
        right = right && ga_judge_finds_all_right(&judge, heap) && newcomer_attaches();
        CU_ASSERT(right);
        if (!right)
            fprintf(stderr, "after: %s\n", deed->name);
    }
}

/* ---- all at once ---- */

/* Every other one is killed in the middle of it. */
static void all_at_once(const char *crowds_heap)
{
    (void)crowds_heap;
    struct culprit culprits[ALL_MAX];
    uint32_t n = 0;
    for (const struct ga_deed *deed = ga_deeds; deed->name && n < ALL_MAX; deed++)
        culprits[n++] = begin(deed, STEPS_SHORT);
    for (uint32_t i = 0; i < n; i++) {
        CU_ASSERT(i % 2 || is_done(&culprits[i]));
        end(&culprits[i]);
    }
    CU_ASSERT(ga_judge_finds_all_right(&judge, heap));
}

static void test_all_beside_a_crowd(void)
{
    ga_crowd_run(&(struct ga_crowd){.processes = 3,
                                    .threads = 1,
                                    .operations = UINT32_MAX,
                                    .seconds = 4,
                                    .meanwhile = all_at_once});
}

/* ---- the next server ---- */

static void test_next_server(void)
{
    for (int i = 0; i < 3; i++) {
        ga_judge_close(&judge);
        expect_end(SIGKILL, 256 + SIGKILL);
        CU_ASSERT_FATAL(start());
        CU_ASSERT_FATAL(ga_judge_open(&judge, path));
        CU_ASSERT(ga_judge_finds_all_right(&judge, heap));
        all_at_once(NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc == GA_CROWD_ARGC)
        return ga_crowd_work(argv);
    static const struct ga_test tests[] = {
        {"each deed by itself", test_each},
        {"all at once, beside a crowd in another heap", test_all_beside_a_crowd},
        {"servers that take the heap over", test_next_server},
    };
    signal(SIGPIPE, SIG_IGN);
    seed = ga_test_seed();
    heap = strdup(ga_daemon_heap("hostile"));
    path = strdup(ga_daemon_path("sock"));
    int failed = 1;
    if (start() && ga_judge_open(&judge, path))
        failed = ga_test_main("hostile", tests, sizeof(tests) / sizeof(tests[0]));
    ga_judge_close(&judge);
    int code = ga_daemon_end(&server, SIGTERM);
    int left = ga_daemon_clean_up();
    if (failed || code != 0 || left != 0)
        fprintf(stderr, "goallocd ended with %d and left %d objects; it said:\n%s", code, left,
                server.text);
    free((void *)heap);
    free((void *)path);
    return failed || code != 0 || left != 0;
}
