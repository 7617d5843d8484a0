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
    EXIT_BUSY = 3,
    EXIT_FAULTS = 4,
};

static int open_socket(const char *path, char buffer[static GA_ADDRESS_BYTES],
                       struct ga_source *ret)
{
    int err = ga_address_resolve(path, buffer);
    if (err < 0) {
        fprintf(stderr, "goallocctl: the path of the socket, from %s, cannot be used: %s\n",
                path ? path : "the environment", ga_error_text(err));
        return err;
    }
    if (ga_address_check_folder(path, false) == -EACCES) {
        fprintf(stderr, "goallocctl: %s: the folder is not this user's alone\n", buffer);
        return -EACCES;
    }
    return ga_source_open_socket(buffer, ret);
}

/* Whoever reads a table should know that nobody keeps the heap in order; JSON says it itself. */
static int open_shm(const char *name, bool json, struct ga_source *ret)
{
    int err = ga_source_open_shm(name, ret);
    if (err == 0 && !json)
        fprintf(stderr, "goallocctl: heap '%s' as its shared memory shows it; its server is %s\n",
                name, ret->server_alive ? "alive" : "dead");
    return err;
}

static int run(const struct ga_request *request)
{
    char socket[GA_ADDRESS_BYTES];
    struct ga_ctl ctl = {.json = request->json,
                         .all = request->all,
                         .recount = request->recount || request->shm,
                         .client = (uint32_t)request->client,
                         .filter = request->filter,
                         .file = request->file,
                         .wait_ms = (uint32_t)request->wait_s * 1000,
                         .quiet = request->quiet,
                         .report = request->report,
                         .verbose = request->verbose};
    int err = request->shm ? open_shm(request->shm, request->json, &ctl.source)
                           : open_socket(request->socket, socket, &ctl.source);
    if (err < 0)
        return EXIT_FAILED;
    err = request->command->run(&ctl);
    ga_source_close(&ctl.source);
    if (err == GA_CTL_FAULTS)
        return EXIT_FAULTS;
    if (err == -EBUSY)
        return EXIT_BUSY;
    return err < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run_on_name(const struct ga_request *request)
{
    int err = request->command->run_on_name(request->name ? request->name : request->shm);
    if (err == -EBUSY)
        return EXIT_BUSY;
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
    if (!request.help && request.command->run_on_name)
        return finish(run_on_name(&request));
    if (!request.help && request.command->run)
        return finish(run(&request));
    ga_command_line_help();
    return finish(EXIT_OK);
}
