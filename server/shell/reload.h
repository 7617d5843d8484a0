/* Options that change while the server serves: on SIGHUP those that it was started with are read
 * once more, the file as it is now. All of them or, where one is wrong, none. */
#ifndef GA_SERVER_SHELL_RELOAD_H
#define GA_SERVER_SHELL_RELOAD_H

#include "server/shell/options.h"

struct ga_server;

struct ga_reload {
    int argc;
    char **argv;
    struct ga_options started;  /* as they were read first, */
    struct ga_options given;    /* and last */
    struct ga_options *options; /* what the server goes by */
};

/* Before anything is added to options, which the server goes by and reload changes. */
void ga_reload_init(struct ga_reload *reload, int argc, char *argv[], struct ga_options *options);

/* Read the options again, and do what they say. What cannot change while the server runs is named
 * in the log and stays; an option that is wrong is, too, and then all stay. */
void ga_reload(struct ga_server *server);

#endif
