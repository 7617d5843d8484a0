/* The server's log: one line on stderr for each event, as "goallocd: warning: ...". The only file
 * of the shell that writes to stderr. One thread. */
#ifndef GA_SERVER_SHELL_LOG_H
#define GA_SERVER_SHELL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum ga_log_level {
    GA_LOG_ERROR = 0,
    GA_LOG_WARNING = 1,
    GA_LOG_INFO = 2,
    GA_LOG_DEBUG = 3,
};
#define GA_LOG_LEVEL_COUNT 4

/* The level's name ("error", "warning", "info", "debug"). */
const char *ga_log_level_name(enum ga_log_level level);

/* Find the level called name. Returns 0, or -EINVAL. */
int ga_log_level_find(const char *name, enum ga_log_level *ret_level);

/* Show lines of this level and those more serious; the default is info. */
void ga_log_set_level(enum ga_log_level level);

/* Write one line; control characters in it become '?', since parts of it may come from clients. */
void ga_log(enum ga_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A limit on lines that a client can cause as often as it likes: begin with {0}. */
struct ga_log_limit {
    uint64_t window_start_ms;
    uint64_t lines;   /* written in this window */
    uint64_t dropped; /* not written since the last line */
};

/* Whether one more line may be written at now_ms. When lines were dropped meanwhile, their number
 * is logged first. */
bool ga_log_limit_allows(struct ga_log_limit *limit, uint64_t now_ms);

#endif
