/* goallocctl: looks inside a heap. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>

#include "client/address.h"
#include "client/ctl/command_line.h"
#include "proto/error.h"

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

static int run(const struct ga_request *request)
{
    char socket[GA_ADDRESS_BYTES];
    int err = ga_address_resolve(request->socket, socket);
    if (err < 0) {
        fprintf(stderr, "goallocctl: the path of the socket, from %s, cannot be used: %s\n",
                request->socket ? request->socket : "the environment", ga_error_text(err));
        return EXIT_FAILED;
    }
    if (ga_address_check_folder(request->socket, false) == -EACCES) {
        fprintf(stderr, "goallocctl: %s: the folder is not this user's alone\n", socket);
        return EXIT_FAILED;
    }
    struct ga_ctl ctl = {.json = request->json, .all = request->all, .filter = request->filter};
    if (ga_source_open_socket(socket, &ctl.source) < 0)
        return EXIT_FAILED;
    err = request->command->run(&ctl);
    ga_source_close(&ctl.source);
    return err < 0 ? EXIT_FAILED : EXIT_OK;
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
    struct ga_request request;
    if (ga_command_line_read(argc, argv, &request) < 0)
        return EXIT_USAGE;
    if (request.version) {
        puts("goallocctl " GOALLOC_VERSION);
        return finish(EXIT_OK);
    }
    if (request.help || !request.command->run) {
        ga_command_line_help();
        return finish(EXIT_OK);
    }
    return finish(run(&request));
}
