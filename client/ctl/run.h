/* goallocctl run: a program and its children with a heap of their own, and an account of what they
 * have left in it. */
#ifndef GA_CTL_RUN_H
#define GA_CTL_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct ga_request;

struct ga_run_options {
    const char *limit; /* for goallocd, NULL = not given */
    const char *reserve;
    const char *gc_percent;
    bool leak_check; /* tell also what is lost, and where it was allocated */
    bool preload;    /* all allocations of all programs, each in a heap of its own */
    bool error_status_given;
    uint64_t error_status; /* the exit status where something is lost */
};

/* Start a server with a heap of its own, then the program of request, wait until it and all of its
 * children have ended, print what is left, and end the server; nothing of it stays. Signals that
 * are sent to this process meanwhile go to the program. Returns GA_CTL_EXIT + the program's exit
 * status, as a shell gives it (126 and 127 where it cannot be run, 128 + the signal that killed
 * it), or the error status of the options; or 125 where it could not be started for want of a heap,
 * which has been told on stderr. */
int ga_ctl_run(const struct ga_request *request);

#endif
