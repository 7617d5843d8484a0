#include "client/ctl/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/command_line.h"
#include "client/ctl/run_family.h"
#include "client/ctl/run_preload.h"
#include "client/ctl/run_report.h"
#include "client/ctl/run_server.h"

#define EXIT_NO_HEAP     125
#define EXIT_WRONG_USAGE 2

/* What becomes of the exit status when the program has ended. */
static int account(const struct ga_request *request, const struct ga_run_server *server,
                   const struct ga_run_family *family, const char *folder, FILE *out)
{
    const struct ga_run_options *options = &request->run;
    struct ga_run_left left;
    if (!family->is_started)
        return family->status;
    if (family->signal && !request->ctl.json)
        fprintf(stderr, "goallocctl: '%s' was killed by SIG%s (%s)\n", request->program[0],
                sigabbrev_np(family->signal), sigdescr_np(family->signal));
    if (family->server_gone) {
        fputs(
            "goallocctl: the server of the heap has ended before the program: nobody knows what is "
            "left\n",
            stderr);
        return family->status;
    }
    if (ga_run_report(request, server->socket, family->status, folder, out, &left) < 0)
        return family->status;
    if (options->leak_check && options->error_status_given && left.lost_objects > 0)
        return (int)options->error_status;
    return family->status;
}

static int run(const struct ga_request *request, FILE *out)
{
    struct ga_run_preload preload;
    struct ga_run_server server;
    struct ga_run_family family;
    struct ga_run_variable variables[GA_RUN_VARIABLES];
    if (ga_run_preload_begin(&request->run, &preload) < 0)
        return EXIT_NO_HEAP;
    int status = EXIT_NO_HEAP;
    int err = ga_run_server_start(&request->run, &server);
    if (err == -EINVAL)
        status = EXIT_WRONG_USAGE;
    if (err == 0) {
        ga_run_preload_variables(&preload, server.socket, variables);
        if (ga_run_family(request->program, variables, server.pid, &family) == 0) {
            if (family.server_gone)
                server.pid = 0;
            status = account(request, &server, &family, preload.folder, out);
        }
        ga_run_server_end(&server);
    }
    ga_run_preload_end(&preload);
    return status;
}

int ga_ctl_run(const struct ga_request *request)
{
    FILE *out = request->ctl.output ? fopen(request->ctl.output, "we") : stderr;
    if (!out) {
        fprintf(stderr, "goallocctl: '%s' cannot be written: %s\n", request->ctl.output,
                strerrordesc_np(errno));
        return GA_CTL_EXIT + EXIT_NO_HEAP;
    }
    ga_run_family_block();
    int status = run(request, out);
    if (out != stderr && fclose(out) != 0)
        fprintf(stderr, "goallocctl: '%s' cannot be written: %s\n", request->ctl.output,
                strerrordesc_np(errno));
    return GA_CTL_EXIT + status;
}
