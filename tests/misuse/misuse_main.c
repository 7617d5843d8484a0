/* The main of a misuse program. stderr is a file in memory while the program runs; what was
 * written is compared with what was expected. */
#include "misuse/misuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_BYTES 4096

static char expected[TEXT_BYTES];

void ga_misuse_expect(struct ga_misuse *m, const char *format, ...)
{
    size_t length = strlen(expected);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(expected + length, sizeof(expected) - length - 1, format, args);
    va_end(args);
    ga_misuse_require(m, n > 0 && length + (size_t)n + 2 < sizeof(expected), "the line fits");
    strcat(expected, "\n");
}

void ga_misuse_tell(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

void ga_misuse_require(struct ga_misuse *m, bool holds, const char *clause)
{
    if (holds)
        return;
    printf("not true: %s\n", clause);
    m->failed = true;
}

/* Run the program with stderr going to a file in memory. Returns the file, or -1. */
static int run_recorded(struct ga_misuse *m)
{
    int record = memfd_create("stderr", MFD_CLOEXEC);
    int terminal = dup(STDERR_FILENO);
    if (record < 0 || terminal < 0 || dup2(record, STDERR_FILENO) < 0)
        return -1;
    ga_misuse(m);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    return record;
}

static bool compare(int record)
{
    char written[TEXT_BYTES];
    ssize_t n = pread(record, written, sizeof(written) - 1, 0);
    written[n > 0 ? n : 0] = '\0';
    close(record);
    if (strcmp(written, expected) == 0)
        return true;
    printf("written:\n%sexpected:\n%s", written, expected);
    return false;
}

int main(void)
{
    struct ga_misuse m = {0};
    if (!ga_test_server_start("64M", &m.server))
        return 2;
    if (goalloc_attach(m.server.socket, NULL, &m.heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 2;
    }
    void *p = goalloc_malloc(m.heap, 1);
    m.base = (uintptr_t)p & ~((UINT64_C(64) << 20) - 1); /* it lies in the first arena */
    goalloc_free(m.heap, p);

    int record = run_recorded(&m);
    bool good = record >= 0 && compare(record) && !m.failed;
    goalloc_detach(m.heap);
    if (!m.server_stopped)
        good = ga_test_server_stop(&m.server) && good;
    return good ? 0 : 1;
}
