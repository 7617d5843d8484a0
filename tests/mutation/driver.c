#include "driver.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deeds.h"

enum { STOPPED_MS = 100 };

struct driver driver;

void driver_attach(void)
{
    struct goalloc_options options = {.size = sizeof(options),
                                      .timeout_ms = DRIVER_PATIENCE_MS,
                                      .client_name = "driver",
                                      .report = deeds_report,
                                      .report_data = driver.shadow};
    if (goalloc_attach(driver.siege.socket, &options, &driver.heap) < 0)
        ga_siege_fail(&driver.siege, "%s", goalloc_attach_error());
}

void driver_kill_client(uint32_t client)
{
    ga_siege_kill_worker(&driver.siege, client);
    uint32_t unknown = shadow_bury(driver.shadow, client);
    if (driver.shadow->kind[client] == SHADOW_ORDINARY)
        driver.nunknown += unknown;
    ga_siege_start_worker(&driver.siege, client);
}

void driver_stop_client_for_a_while(uint32_t client)
{
    kill(driver.siege.workers[client], SIGSTOP);
    usleep(ga_siege_below(&driver.siege, STOPPED_MS * 1000));
    kill(driver.siege.workers[client], SIGCONT);
    driver.nstops++;
}

/* ---- goallocctl ---- */

pid_t driver_begin_ctl_gc(void)
{
    pid_t ctl = fork();
    if (ctl != 0)
        return ctl;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nowhere = memfd_create("goallocctl", MFD_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    execl(GOALLOCCTL_PATH, "goallocctl", "--socket", driver.siege.socket, "gc", (char *)NULL);
    _exit(127);
}

/* It may find no server, or be told that the collection was abandoned: then it says so and ends
 * with 5 or 1. */
void driver_end_ctl_gc(pid_t ctl)
{
    int status = 0;
    pid_t gone;
    uint64_t end = ga_siege_now_ms() + DRIVER_PATIENCE_MS;
    while ((gone = waitpid(ctl, &status, WNOHANG)) == 0 && ga_siege_now_ms() < end)
        usleep(500);
    if (gone == 0)
        ga_siege_fail(&driver.siege, "goallocctl gc (process %d) hangs", ctl);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code != 0 && code != 1 && code != 5)
        ga_siege_fail(&driver.siege, "goallocctl gc has ended with status %#x", status);
}
