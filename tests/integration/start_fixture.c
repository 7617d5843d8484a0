#include "integration/start_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <CUnit/CUnit.h>

bool ga_start_beside(struct ga_daemon *daemon, const char *heap, const char *path,
                     const char *option, const char *value)
{
    const char *arguments[] = {"--name", heap,   "--socket", path, "--reserve",
                               "64M",    option, value,      NULL};
    return ga_daemon_start(daemon, 0, arguments);
}

void ga_expect_refusal(struct ga_daemon *daemon, bool ready, int code, const char *sentence)
{
    char line[1024];
    snprintf(line, sizeof(line), "goallocd: error: %s\n", sentence);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(ga_daemon_end(daemon, ready ? SIGKILL : 0), code);
    CU_ASSERT_STRING_EQUAL(daemon->text, line);
    if (strcmp(daemon->text, line) != 0)
        fprintf(stderr, "said:     %sexpected: %s", daemon->text, line);
}

int ga_start_main(const char *suite_name, const struct ga_test *tests, size_t count)
{
    signal(SIGPIPE, SIG_IGN);
    int failed = ga_test_main(suite_name, tests, count);
    int left = ga_daemon_clean_up();
    if (left != 0)
        fprintf(stderr, "%d objects were left\n", left);
    return failed || left != 0;
}
