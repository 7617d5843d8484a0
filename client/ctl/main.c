/* goallocctl: looks inside a heap. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/color.h"
#include "client/ctl/command_line.h"
#include "client/ctl/complete.h"
#include "client/ctl/help.h"
#include "client/ctl/open.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_BUSY = 3,
    EXIT_FAULTS = 4,
    EXIT_NO_SERVER = 5,
    EXIT_NO_RIGHT = 6,
    EXIT_OTHER_VERSION = 7,
    EXIT_TERMINAL = 8,
    EXIT_TAKEN = 9,
};

/* Why the heap could not be reached. */
static int status_of_open(int err)
{
    switch (err) {
    case -ENOENT:
    case -ECONNREFUSED:
        return EXIT_NO_SERVER;
    case -EACCES:
    case -EPERM:
        return EXIT_NO_RIGHT;
    case -EPROTO:
        return EXIT_OTHER_VERSION;
    case -ENAMETOOLONG:
    case -EINVAL:
        return EXIT_USAGE;
    default:
        return EXIT_FAILED;
    }
}

/* What a command returned. */
static int status_of(int outcome)
{
    if (outcome >= GA_CTL_EXIT)
        return outcome - GA_CTL_EXIT;
    switch (outcome) {
    case 0:
        return EXIT_OK;
    case GA_CTL_FAULTS:
        return EXIT_FAULTS;
    case GA_CTL_TERMINAL:
        return EXIT_TERMINAL;
    case GA_CTL_TAKEN:
        return EXIT_TAKEN;
    case -EBUSY:
        return EXIT_BUSY;
    default:
        return EXIT_FAILED;
    }
}

static int run(struct ga_request *request)
{
    char socket[GA_ADDRESS_BYTES];
    struct ga_ctl *ctl = &request->ctl;
    int err;
    if (request->command->run_alone) {
        err = request->command->run_alone(request);
        return err < 0 && err != -EBUSY ? status_of_open(err) : status_of(err);
    }
    err = ga_open(request, socket, &ctl->source);
    if (err < 0)
        return status_of_open(err);
    err = request->command->run(ctl);
    ga_source_close(&ctl->source);
    return status_of(err);
}

/* What was printed must also have arrived, or a script would take half an answer for a whole. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("goallocctl: cannot write the answer");
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc > 1 && strcmp(argv[1], GA_COMPLETE_COMMAND) == 0)
        return finish(ga_complete(argc - 2, argv + 2));
    struct ga_request request;
    if (ga_command_line_read(argc, argv, &request) < 0)
        return EXIT_USAGE;
    ga_color_set(request.color);
    if (request.version) {
        puts("goallocctl " GOALLOC_VERSION);
        return finish(EXIT_OK);
    }
    if (request.help) {
        ga_help_print(request.command);
        return finish(EXIT_OK);
    }
    return finish(run(&request));
}
