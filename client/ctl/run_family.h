/* A program and all processes that come of it: started, told what signals say, and waited for. */
#ifndef GA_CTL_RUN_FAMILY_H
#define GA_CTL_RUN_FAMILY_H

#include <stdbool.h>
#include <sys/types.h>

struct ga_run_family {
    pid_t program;
    int status;       /* of the program, as a shell gives it */
    int signal;       /* that killed it, 0 = none */
    bool is_started;  /* else it could not be run, and the status says so */
    bool server_gone; /* the server has ended meanwhile, and has been waited for */
};

/* Block the signals that are for the program, from before the server is started on, so that none of
 * them ends this process and leaves something behind. */
void ga_run_family_block(void);

/* Of the program's environment. */
struct ga_run_variable {
    const char *name; /* NULL ends a list */
    const char *value;
};

/* Run program, a list that ends in NULL, with variables set, and wait until it has
 * ended and so have all of its children, also those that it did not wait for. server: a child that
 * is not waited for. A signal that somebody sends this process is sent on to the program, or, when
 * that has ended, to its children; what is typed at the terminal they have got themselves. Returns
 * 0, or a negative errno after telling why no process can be started. */
int ga_run_family(char *const *program, const struct ga_run_variable *variables, pid_t server,
                  struct ga_run_family *ret);

#endif
