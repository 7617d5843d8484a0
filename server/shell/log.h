/* The server's log: one line for each message, of one thread. Where it goes:
 *
 *   text   on stderr, as "goallocd: warning: ...", which is how it begins
 *   json   on stderr, an object a line: time, level, heap, message, and what an event has
 *   journal  to journald with fields of their own, where stderr is the journal's and no format is
 *          asked for; a message that it does not take goes to stderr as text
 *
 * The only file of the shell that writes to stderr. */
#ifndef GA_SERVER_SHELL_LOG_H
#define GA_SERVER_SHELL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"

enum ga_log_level {
    GA_LOG_ERROR = 0,
    GA_LOG_WARNING = 1,
    GA_LOG_INFO = 2,
    GA_LOG_DEBUG = 3,
    GA_LOG_TRACE = 4, /* what there are thousands of in a second, too */
};
#define GA_LOG_LEVEL_COUNT 5

enum ga_log_format {
    GA_LOG_TEXT,
    GA_LOG_JSON,
    GA_LOG_JOURNAL,
};

/* Look whether stderr is the journal's, as $JOURNAL_STREAM tells, and use that then. */
void ga_log_find_journal(void);

/* The level's name ("error", "warning", "info", "debug", "trace"). */
const char *ga_log_level_name(enum ga_log_level level);

/* Find the level called name. Returns 0, or -EINVAL. */
int ga_log_level_find(const char *name, enum ga_log_level *ret_level);

/* Show lines of this level and those more serious; the default is info. */
void ga_log_set_level(enum ga_log_level level);
/* Whether lines of this level are shown. */
bool ga_log_shows(enum ga_log_level level);
/* Write in this format from now on: text or json. */
void ga_log_set_format(enum ga_log_format format);
/* What heap the lines are about; name must stay. NULL = none. */
void ga_log_set_heap(const char *name);

/* Write one line; control characters in it become '?', since parts of it may come from clients. */
void ga_log(enum ga_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Write one line that says what has happened, with the event's fields where the format has any. */
void ga_log_event(enum ga_log_level level, const Goalloc__V1__Event *event);

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
