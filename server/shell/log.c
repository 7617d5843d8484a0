/* A line is built in one buffer and written with one call, so that lines of several processes on
 * the same stderr do not mix. A line that cannot be written at once is lost: a server must not stop
 * because nobody reads its log. */
#include "server/shell/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES      1024
#define LIMIT_WINDOW_MS 10000u
#define LIMIT_LINES     10u

static const char *const level_names[GA_LOG_LEVEL_COUNT] = {"error", "warning", "info", "debug"};
static enum ga_log_level shown_level = GA_LOG_INFO;

const char *ga_log_level_name(enum ga_log_level level)
{
    return level_names[level];
}

int ga_log_level_find(const char *name, enum ga_log_level *ret_level)
{
    for (int i = 0; i < GA_LOG_LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum ga_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

void ga_log_set_level(enum ga_log_level level)
{
    shown_level = level;
}

void ga_log(enum ga_log_level level, const char *format, ...)
{
    if (level > shown_level)
        return;
    char line[LINE_BYTES];
    size_t length = (size_t)snprintf(line, sizeof(line), "goallocd: %s: ", level_names[level]);
    size_t begin = length;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + length, sizeof(line) - length - 1, format, args);
    va_end(args);
    if (n > 0) {
        length += (size_t)n;
        if (length > sizeof(line) - 2)
            length = sizeof(line) - 2;
    }
    for (size_t i = begin; i < length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) > 0) {
        ssize_t written = write(STDERR_FILENO, line, length);
        (void)written;
    }
}

bool ga_log_limit_allows(struct ga_log_limit *limit, uint64_t now_ms)
{
    if (now_ms - limit->window_start_ms >= LIMIT_WINDOW_MS) {
        limit->window_start_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines >= LIMIT_LINES) {
        limit->dropped++;
        return false;
    }
    if (limit->dropped > 0) {
        ga_log(GA_LOG_WARNING, "%llu lines like the next were left out",
               (unsigned long long)limit->dropped);
        limit->dropped = 0;
    }
    limit->lines++;
    return true;
}
