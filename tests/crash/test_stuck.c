/* What is told of a process that does not come to an end. */
#include "crash/stuck.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/trace.h"
#include "support/cunit_main.h"

#define SKIPPED     77
#define PATIENCE_MS 5000

static int ready[2];

static void say_ready(void)
{
    (void)!write(ready[1], "", 1);
}

static __attribute__((noinline)) void spin_for_ever(void)
{
    say_ready();
    for (volatile int i = 0;; i++)
        continue;
}

static __attribute__((noinline)) void wait_for_ever(void)
{
    say_ready();
    for (;;)
        pause();
}

/* A process that does function. */
static pid_t start(void (*function)(void))
{
    char byte;
    CU_ASSERT_FATAL(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        function();
    }
    CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
}

static char *tell(pid_t pid)
{
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    ga_stuck_tell(file, "a child", pid);
    fclose(file);
    return text;
}

/* Whether that is told, soon: it may still be on its way to where it stays. */
static bool tells(pid_t pid, const char *what)
{
    char *text = tell(pid);
    for (int ms = 0; ms < PATIENCE_MS && !strstr(text, what); ms++) {
        free(text);
        usleep(1000);
        text = tell(pid);
    }
    bool found = strstr(text, what) != NULL;
    if (!found)
        fprintf(stderr, "not told of %s:\n%s", what, text);
    free(text);
    return found;
}

static void test_one_that_spins(void)
{
    pid_t pid = start(spin_for_ever);
    CU_ASSERT(tells(pid, "    a child, process "));
    CU_ASSERT(tells(pid, "state R"));
    CU_ASSERT(tells(pid, "        spin_for_ever+"));
    end(pid);
}

/* And goes on waiting when it has been looked at. */
static void test_one_that_waits(void)
{
    pid_t pid = start(wait_for_ever);
    CU_ASSERT(tells(pid, "        wait_for_ever+"));
    CU_ASSERT(tells(pid, "state S"));
    end(pid);
}

static void test_one_that_is_stopped(void)
{
    pid_t pid = start(wait_for_ever);
    int status;
    kill(pid, SIGSTOP);
    CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
    CU_ASSERT(tells(pid, "state T"));
    end(pid);
}

static void test_one_that_has_ended(void)
{
    pid_t pid = start(wait_for_ever);
    kill(pid, SIGKILL);
    siginfo_t info;
    CU_ASSERT_EQUAL(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    CU_ASSERT(tells(pid, "state Z"));
    CU_ASSERT(tells(pid, "ended with status 9\n"));
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    CU_ASSERT(tells(pid, "there is none"));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"one that spins", test_one_that_spins},
        {"one that waits", test_one_that_waits},
        {"one that is stopped", test_one_that_is_stopped},
        {"one that has ended", test_one_that_has_ended},
    };
    if (!ga_trace_is_allowed()) {
        puts("skipped: ptrace is refused here");
        return SKIPPED;
    }
    return ga_test_main("crash.stuck", tests, sizeof(tests) / sizeof(tests[0]));
}
