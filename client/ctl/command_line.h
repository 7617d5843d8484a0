/* What the command line of goallocctl says, read against the tables of commands and of options. */
#ifndef GA_CTL_COMMAND_LINE_H
#define GA_CTL_COMMAND_LINE_H

#include "client/ctl/color.h"
#include "client/ctl/commands.h"
#include "client/ctl/run.h"

struct ga_request {
    const struct ga_command *command; /* NULL with --help and --version */
    const char *operand;              /* the heap, file or topic; NULL = none */
    char *const *program;             /* it and its arguments, ending in NULL; NULL = none */
    const char *socket;               /* NULL = the default */
    const char *shm;                  /* the heap to read from shared memory, or NULL */
    uint32_t process;                 /* whose own heap is to be read, 0 = none */
    enum ga_color_when color;
    bool help;
    bool version;
    const char *listen; /* where to serve, NULL = the default */
    bool wait_given;
    struct ga_run_options run;
    bool once;
    bool batch;
    unsigned interval_ms; /* 0 = not given */
    uint64_t nreports;    /* 0 = until it is ended */
    uint64_t events;      /* kinds of them, as bits; 0 = none was named */
    struct ga_ctl ctl;    /* its source is not open */
};

/* Read the words. Returns 0; -EINVAL after what is wrong, and what is allowed, has been told on
 * stderr. */
int ga_command_line_read(int argc, char **argv, struct ga_request *ret);

#endif
