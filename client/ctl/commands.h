/* The commands of goallocctl and their options: two tables, from which its command line is read and
 * its help, its suggestions and the shells' completion are made. A new command is a line in the
 * one, its options are lines in the other, with a case each in command_line.c, and it is told of in
 * the manual page. */
#ifndef GA_CTL_COMMANDS_H
#define GA_CTL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ctl/command.h"

struct ga_request;

/* What the word or words behind a command are. */
enum ga_operand {
    GA_OPERAND_NONE,
    GA_OPERAND_HEAP,    /* the name of a heap */
    GA_OPERAND_FILE,    /* a file to write */
    GA_OPERAND_PROGRAM, /* a program, and all that follows is its own */
    GA_OPERAND_EVENTS,  /* kinds of events, or none */
    GA_OPERAND_TOPIC,   /* of the manual; may be left out */
};

/* What the value of an option is, for those who complete it. */
enum ga_value {
    GA_VALUE_NONE, /* there is none */
    GA_VALUE_NUMBER,
    GA_VALUE_TEXT,
    GA_VALUE_FILE,
    GA_VALUE_HEAP,
    GA_VALUE_CLASS,
    GA_VALUE_PID,
    GA_VALUE_OWN_PID, /* of who has a heap of its own */
    GA_VALUE_CLIENT,
    GA_VALUE_CHOICE, /* one of the words of choices */
};

/* The place of a command in the table; and its bit in a set of commands. */
enum ga_command_id {
    GA_COMMAND_STATUS,
    GA_COMMAND_STATS,
    GA_COMMAND_CLASSES,
    GA_COMMAND_ARENAS,
    GA_COMMAND_SPANS,
    GA_COMMAND_CLIENTS,
    GA_COMMAND_USERS,
    GA_COMMAND_ROOTS,
    GA_COMMAND_MAP,
    GA_COMMAND_SERVE,
    GA_COMMAND_CHECK,
    GA_COMMAND_PROFILE,
    GA_COMMAND_SHARING,
    GA_COMMAND_WATCH,
    GA_COMMAND_TOP,
    GA_COMMAND_GC,
    GA_COMMAND_SCAVENGE,
    GA_COMMAND_SNAPSHOT,
    GA_COMMAND_DESTROY,
    GA_COMMAND_RUN,
    GA_COMMAND_HELP,
    GA_COMMAND_COUNT,
};
#define GA_COMMAND_BIT(id) (UINT64_C(1) << GA_COMMAND_##id)

/* One of the two functions is there. Both return 0, an outcome (enum ga_ctl_outcome), or a negative
 * errno after the reason has been told on stderr. */
struct ga_command {
    const char *name;
    const char *words; /* behind it, as the help shows them; NULL = none */
    const char *summary;
    const char *example; /* a command line */
    enum ga_operand operand;
    int (*run)(const struct ga_ctl *ctl);               /* with a source opened before */
    int (*run_alone)(const struct ga_request *request); /* without */
};

/* In the order in which the help shows them: what is for few commands first. */
enum ga_option_id {
    GA_OPTION_ALL,
    GA_OPTION_RECOUNT,
    GA_OPTION_CLIENT,
    GA_OPTION_CLASS,
    GA_OPTION_SIZE,
    GA_OPTION_OWNER,
    GA_OPTION_PID,
    GA_OPTION_PARTIAL,
    GA_OPTION_FULL,
    GA_OPTION_LARGE,
    GA_OPTION_LEASED,
    GA_OPTION_LIMIT,
    GA_OPTION_BY,
    GA_OPTION_ARENA,
    GA_OPTION_OUTPUT,
    GA_OPTION_LISTEN,
    GA_OPTION_ALLOCS,
    GA_OPTION_RATE,
    GA_OPTION_REPORT,
    GA_OPTION_RUN_LIMIT,
    GA_OPTION_RESERVE,
    GA_OPTION_GC_PERCENT,
    GA_OPTION_LEAK_CHECK,
    GA_OPTION_PRELOAD,
    GA_OPTION_ERROR_EXITCODE,
    GA_OPTION_ONCE,
    GA_OPTION_BATCH,
    GA_OPTION_INTERVAL,
    GA_OPTION_REPORTS,
    GA_OPTION_WAIT,
    GA_OPTION_QUIET,
    GA_OPTION_VERBOSE,
    GA_OPTION_SOCKET,
    GA_OPTION_SHM,
    GA_OPTION_PROCESS,
    GA_OPTION_JSON,
    GA_OPTION_COLOR,
    GA_OPTION_HELP,
    GA_OPTION_VERSION,
    GA_OPTION_COUNT,
};

/* Two options may have one name if they are for different commands, and both take a value or none.
 */
struct ga_option {
    const char *name;
    char letter;        /* the short one, 0 = none */
    const char *value;  /* what is shown for its value, NULL = it takes none */
    enum ga_value kind; /* of the value */
    const char *choices;
    uint64_t commands; /* those it goes with: bits, or GA_COMMANDS_ALL */
    const char *summary;
};
/* Also without a command. */
#define GA_COMMANDS_ALL UINT64_MAX

extern const struct ga_command ga_commands[GA_COMMAND_COUNT];
extern const struct ga_option ga_options[GA_OPTION_COUNT];

/* The command called name; NULL when there is none. */
const struct ga_command *ga_command_find(const char *name);

/* Whether option goes with command; NULL: with none, or any. */
bool ga_option_fits(const struct ga_option *option, const struct ga_command *command);

/* Of the options that word spells, alone or with "=value", the one that goes with command; or, when
 * none does, another, so that it can be named. NULL when there is none of that name. */
const struct ga_option *ga_option_find(const char *word, const struct ga_command *command);

#endif
