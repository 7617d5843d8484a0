/* What goallocd is told, on the command line and in a file: what it does not understand it says in
 * a sentence, and leaves nothing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "integration/start_fixture.h"
#include "support/cunit_main.h"

static void refuse_option(const char *option, const char *value, const char *sentence)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("options");
    ga_expect_refusal(&daemon,
                      ga_start_beside(&daemon, heap, ga_daemon_path("sock"), option, value), 2,
                      sentence);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void test_bad_options(void)
{
    refuse_option("--gc-percent", "-1",
                  "--gc-percent: '-1' is not allowed: give a number of percent up to 100000, or "
                  "off");
    refuse_option("--gc-percent", "10x",
                  "--gc-percent: '10x' is not allowed: give a number of percent up to 100000, or "
                  "off");
    refuse_option(
        "--gc-percent", "100001",
        "--gc-percent: '100001' is not allowed: give a number of percent up to 100000, or "
        "off");
    refuse_option("--gc-mode", "never",
                  "--gc-mode: 'never' is not allowed: give concurrent or stop");
    refuse_option("--limit", "12Q",
                  "--limit: '12Q' is not allowed: give a multiple of 8K from 1M up to the reserve, "
                  "such as 512M");
    refuse_option("--limit", "1000001",
                  "--limit: '1000001' is not allowed: give a multiple of 8K from 1M up to the "
                  "reserve, such as 512M");
    refuse_option("--limit", "1G",
                  "--limit: 1 GiB is more than the reserve of 64 MiB: give at most that");
    refuse_option("--reserve", "100M",
                  "--reserve: '100M' is not allowed: give a multiple of 64M up to 320G");
    refuse_option("--reserve", "384G",
                  "--reserve: '384G' is not allowed: give a multiple of 64M up to 320G");
    refuse_option("--reserve", "99999999999999999999T",
                  "--reserve: '99999999999999999999T' is not allowed: give a multiple of 64M up to "
                  "320G");
    refuse_option("--base", "0x12345",
                  "--base: '0x12345' is not allowed: give an address that is a multiple of 64 MiB, "
                  "such as 0x550000000000");
    refuse_option("--name", "a/b",
                  "--name: 'a/b' is not allowed: give 1 to 63 letters, digits, '-', '_' and '.', "
                  "not beginning with '.'");
    refuse_option("--socket", "", "--socket: '' is not allowed: give the path of a socket");
    refuse_option("--log-level", "loud",
                  "--log-level: 'loud' is not allowed: give error, warning, info, debug or trace");
    refuse_option("--frobnicate", NULL, "unknown option '--frobnicate'; see 'goallocd --help'");
    refuse_option("--replace=yes", NULL, "'--replace' takes no value");
    refuse_option("stray", NULL,
                  "'stray' is no option, and goallocd takes nothing else; see 'goallocd --help'");
    refuse_option("--limt=1G", NULL, "unknown option '--limt=1G'; did you mean '--limit'?");

    char path[160];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    char sentence[400];
    snprintf(sentence, sizeof(sentence),
             "--socket: '%s' is 159 bytes long: a socket's path has at most 107", path);
    refuse_option("--socket", path, sentence);

    struct ga_daemon daemon;
    const char *ready_fd[] = {"--ready-fd", "77", NULL};
    ga_expect_refusal(
        &daemon, ga_daemon_start(&daemon, 0, ready_fd), 2,
        "--ready-fd: '77' is not allowed: give the number of an open file descriptor");
}

static const char *write_config(const char *text)
{
    const char *path = ga_daemon_path("config");
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    return path;
}

/* why: what follows the file's name. */
static void refuse_config(const char *text, const char *why)
{
    char sentence[400];
    const char *path = write_config(text);
    snprintf(sentence, sizeof(sentence), "%s%s", path, why);
    refuse_option("--config", path, sentence);
}

static void test_config_file(void)
{
    struct ga_daemon daemon;
    char text[600];
    const char *heap = ga_daemon_heap("config");
    const char *path = ga_daemon_path("sock");
    snprintf(text, sizeof(text),
             "# a heap\n\n  name=%s\nsocket = %s\n\treserve = 64M\nlimit = 32M\n"
             "ephemeral = no\nprivate = no\nlog-level = info",
             heap, path);
    const char *arguments[] = {"--limit", "16M", "--config", write_config(text), NULL};
    CU_ASSERT_FATAL(ga_daemon_start(&daemon, 0, arguments));
    CU_ASSERT(ga_daemon_said(&daemon, ", reserve 64 MiB, limit 16 MiB\n"));
    CU_ASSERT(ga_daemon_said(&daemon, heap));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));

    refuse_config("limit = 1M\nlimits = 2M\n", ":2: 'limits' is not known: did you mean 'limit'?");
    refuse_config("\n\nlimit = 12Q\n",
                  ":3: limit: '12Q' is not allowed: give a multiple of 8K from 1M up to the "
                  "reserve, such as 512M");
    refuse_config(
        "replace = yes\n",
        ":1: 'replace' is not known: give one of name, socket, limit, soft-limit, reserve, base, "
        "quota, client-quota, group, mode, allow-user, allow-group, gc-percent, gc-mode, "
        "profile-rate, huge-pages, no-io-uring, ephemeral, private, log-level, log-format");
    refuse_config("ephemeral = maybe\n", ":1: ephemeral: 'maybe' is not allowed: give yes or no");
    refuse_config("ephemeral\n",
                  ":1: 'ephemeral' is not allowed: give key = value, or # and a comment");
    refuse_option("--config", "/dev/zero", "/dev/zero:1: there is a zero byte: this is no text");
    refuse_option("--config", "/nonexistent",
                  "--config: /nonexistent cannot be read: No such file or directory");
    unlink(ga_daemon_path("config"));
}

/* Too few descriptors to turn anybody away. */
static void test_few_descriptors(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("few");
    const struct ga_daemon_setup setup = {.descriptors = 14};
    const char *arguments[] = {"--name",    heap,  "--socket", ga_daemon_path("sock"),
                               "--reserve", "64M", NULL};
    bool launched = ga_daemon_launch(&daemon, &setup, arguments);
    CU_ASSERT_FATAL(launched);
    ga_expect_refusal(&daemon, ga_daemon_wait(&daemon), 1,
                      "a server needs 32 file descriptors and more: Too many open files: raise the "
                      "limit (ulimit -n)");
    CU_ASSERT_FALSE(ga_daemon_left_objects(heap));
}

static void test_answers(void)
{
    struct ga_daemon daemon;
    static const char *const questions[] = {"--help", "--version"};
    static const char *const answers[] = {"usage: goallocd [OPTION...]\n", "goallocd "};
    for (int i = 0; i < 2; i++) {
        const char *arguments[] = {questions[i], NULL};
        CU_ASSERT_FALSE(ga_daemon_start(&daemon, 0, arguments));
        CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 0);
        CU_ASSERT(strncmp(daemon.text, answers[i], strlen(answers[i])) == 0);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"options that are wrong", test_bad_options},
        {"a file of options", test_config_file},
        {"few descriptors", test_few_descriptors},
        {"--help and --version", test_answers},
    };
    return ga_start_main("server_options", tests, sizeof(tests) / sizeof(tests[0]));
}
