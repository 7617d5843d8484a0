/* The options of goallocd in one table, from which its command line and its file of options are
 * read and its help and its suggestions are made. */
#ifndef GA_SERVER_SHELL_OPTION_TABLE_H
#define GA_SERVER_SHELL_OPTION_TABLE_H

#include <stdbool.h>

enum ga_option_id {
    GA_OPTION_NAME,
    GA_OPTION_SOCKET,
    GA_OPTION_LIMIT,
    GA_OPTION_SOFT_LIMIT,
    GA_OPTION_RESERVE,
    GA_OPTION_BASE,
    GA_OPTION_QUOTA,
    GA_OPTION_CLIENT_QUOTA,
    GA_OPTION_GROUP,
    GA_OPTION_MODE,
    GA_OPTION_ALLOW_USER,
    GA_OPTION_ALLOW_GROUP,
    GA_OPTION_GC_PERCENT,
    GA_OPTION_GC_MODE,
    GA_OPTION_PROFILE_RATE,
    GA_OPTION_HUGE_PAGES,
    GA_OPTION_NO_IO_URING,
    GA_OPTION_EPHEMERAL,
    GA_OPTION_PRIVATE,
    GA_OPTION_REPLACE,
    GA_OPTION_RESTORE,
    GA_OPTION_CONFIG,
    GA_OPTION_READY_FD,
    GA_OPTION_LOG_LEVEL,
    GA_OPTION_LOG_FORMAT,
    GA_OPTION_HELP,
    GA_OPTION_VERSION,
    GA_OPTION_COUNT,
};

struct ga_option {
    const char *name;  /* without dashes: in a file, the key */
    const char *value; /* what is shown for its value, NULL = it takes none */
    /* Whether a file may say it: what --replace and --restore do should not happen at each start,
     * and the rest is about one start. */
    bool in_file;
    const char *summary; /* in lines */
};

extern const struct ga_option ga_options[GA_OPTION_COUNT];

/* The option's name that is most like word, which may begin with dashes and have "=value" behind
 * it; of those of the file alone where in_file. NULL where none is alike. */
const char *ga_option_nearest(const char *word, bool in_file);

/* Print the help to stdout; no line is wider than 80 columns. */
void ga_option_help(void);

#endif
