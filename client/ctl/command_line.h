/* What the command line of goallocctl says. It is read against two tables, of commands and of
 * options, so that help, checks and messages cannot disagree. */
#ifndef GA_CTL_COMMAND_LINE_H
#define GA_CTL_COMMAND_LINE_H

#include "client/ctl/command.h"

struct ga_command {
    const char *name;
    const char *summary;
    int (*run)(const struct ga_ctl *ctl); /* NULL: one that needs no source */
    int (*run_on_name)(const char *name); /* NULL, or it takes the name of a heap */
    bool takes_file;                      /* run needs one */
};

struct ga_request {
    const struct ga_command *command; /* NULL with --help and --version */
    const char *name;                 /* of the heap to destroy */
    const char *file;                 /* to write */
    const char *socket;               /* NULL = the default */
    const char *shm;                  /* the heap to read from shared memory, or NULL */
    bool json;
    bool all;
    bool recount;
    uint64_t client; /* 0 = none */
    bool wait_given;
    uint64_t wait_s; /* for clients to pause */
    bool quiet;
    bool report;
    bool verbose;
    struct ga_span_filter filter;
    bool help;
    bool version;
};

/* Read the words. Returns 0; -EINVAL after what is wrong, and what is allowed, has been told on
 * stderr. */
int ga_command_line_read(int argc, char **argv, struct ga_request *ret);

/* Print the help to stdout. */
void ga_command_line_help(void);

#endif
