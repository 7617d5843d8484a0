/* A line is built in one buffer and written with one call, so that lines of several processes on
 * the same stderr do not mix. A line that cannot be written at once is lost: a server must not stop
 * because nobody reads its log.
 *
 * What a line says is the same in every format; json and journald have an event's fields besides.
 */
#include "server/shell/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/event.h"
#include "proto/text.h"
#include "server/shell/journal_socket.h"

#define LINE_BYTES      1024
#define JSON_BYTES      (LINE_BYTES + GA_EVENT_JSON_BYTES)
#define LIMIT_WINDOW_MS 10000u
#define LIMIT_LINES     10u

static const char *const level_names[GA_LOG_LEVEL_COUNT] = {"error", "warning", "info", "debug",
                                                            "trace"};
static enum ga_log_level shown_level = GA_LOG_INFO;
static enum ga_log_format log_format = GA_LOG_TEXT;
static int journal_fd = -1;
static const char *heap_name;

void ga_log_find_journal(void)
{
    journal_fd = ga_journal_socket_open(STDERR_FILENO);
    if (journal_fd >= 0)
        log_format = GA_LOG_JOURNAL;
}

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

bool ga_log_shows(enum ga_log_level level)
{
    return level <= shown_level;
}

void ga_log_set_format(enum ga_log_format format)
{
    log_format = format;
}

void ga_log_set_heap(const char *name)
{
    heap_name = name;
}

static void write_line(const char *line, size_t length)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) > 0) {
        ssize_t written = write(STDERR_FILENO, line, length);
        (void)written;
    }
}

static void write_text(enum ga_log_level level, const char *message)
{
    char line[LINE_BYTES + 32];
    int n = snprintf(line, sizeof(line), "goallocd: %s: %s\n", level_names[level], message);
    if (n > 0)
        write_line(line, (size_t)n);
}

static void write_json(enum ga_log_level level, const char *message,
                       const Goalloc__V1__Event *event)
{
    char text[JSON_BYTES];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct ga_json_line line;
    ga_json_line_begin(&line, text, sizeof(text));
    ga_json_line_time(&line, "time", (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    ga_json_line_string(&line, "level", level_names[level]);
    if (heap_name)
        ga_json_line_string(&line, "heap", heap_name);
    ga_json_line_string(&line, "message", message);
    if (event)
        ga_event_add_to_json(event, &line);
    ga_json_line_end(&line);
    write_line(line.text, line.length);
}

/* To where the log goes. A message may quote what clients say, and be cut. */
static void put(enum ga_log_level level, char *message, const Goalloc__V1__Event *event)
{
    for (char *c = message; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (log_format == GA_LOG_JSON) {
        ga_text_clean(message);
        write_json(level, message, event);
    } else if (log_format != GA_LOG_JOURNAL ||
               ga_journal_socket_send(journal_fd, level, heap_name, message, event) < 0) {
        write_text(level, message);
    }
}

void ga_log(enum ga_log_level level, const char *format, ...)
{
    if (level > shown_level)
        return;
    char message[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (n >= 0)
        put(level, message, NULL);
}

void ga_log_event(enum ga_log_level level, const Goalloc__V1__Event *event)
{
    if (level > shown_level)
        return;
    char sentence[GA_EVENT_TEXT_BYTES];
    ga_event_sentence(event, sentence);
    put(level, sentence, event);
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
