#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Called without the interpreter's lock, so it cannot raise anything itself. */
static _Thread_local struct {
    bool kept;
    char message[512];
} reported;

void ga_py_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    if (reported.kept && kind != GOALLOC_REPORT_LOST) {
        snprintf(reported.message, sizeof(reported.message), "%s", message);
        return;
    }
    char line[512];
    int n = snprintf(line, sizeof(line), "goalloc: %s\n", message);
    /* One write, so that lines of several processes do not mix; if it fails there is nobody left to
     * tell. */
    ssize_t written =
        write(STDERR_FILENO, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
    (void)written;
}

void ga_py_report_begin(void)
{
    reported.kept = true;
    reported.message[0] = '\0';
}

const char *ga_py_report_end(void)
{
    reported.kept = false;
    return reported.message[0] ? reported.message : NULL;
}
