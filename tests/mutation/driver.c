#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deeds.h"
#include "support/cunit_main.h"

enum { STOPPED_MS = 100, DEAD_MS = 100 };

struct driver driver;

uint64_t driver_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t driver_below(uint32_t n)
{
    return (uint32_t)(ga_test_random(&driver.random) % n);
}

/* ---- what must not be left behind ---- */

void driver_end(void)
{
    for (uint32_t i = 0; i < SHADOW_CLIENTS; i++)
        if (driver.clients[i] > 0)
            kill(driver.clients[i], SIGKILL);
    if (driver.server > 0)
        kill(driver.server, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    static const char *const suffixes[] = {"meta", "bits", "heap"};
    for (size_t i = 0; i < 3; i++) {
        char name[160];
        snprintf(name, sizeof(name), "/goalloc.%s.%s", driver.heap_name, suffixes[i]);
        shm_unlink(name);
    }
    unlink(driver.shadow->socket);
    rmdir(driver.folder);
}

static void end_on_signal(int number)
{
    driver_end();
    signal(number, SIG_DFL);
    raise(number);
}

void driver_begin(void)
{
    driver.shadow = shadow_make(&driver.shadow_fd);
    driver.log_fd = memfd_create("log", MFD_CLOEXEC);
    driver.random = ga_test_seed();
    snprintf(driver.heap_name, sizeof(driver.heap_name), "mutation-%d", getpid());
    snprintf(driver.folder, sizeof(driver.folder), "/tmp/goalloc-mutation-XXXXXX");
    if (!mkdtemp(driver.folder))
        driver_fail("no folder for the socket");
    snprintf(driver.shadow->socket, sizeof(driver.shadow->socket), "%s/sock", driver.folder);
    signal(SIGINT, end_on_signal);
    signal(SIGTERM, end_on_signal);
}

uint64_t driver_print_log(uint64_t *ret_nabandoned)
{
    char line[1024];
    uint64_t nlines = 0;
    FILE *log = fdopen(dup(driver.log_fd), "r");
    *ret_nabandoned = 0;
    if (!log)
        return 0;
    rewind(log);
    while (fgets(line, sizeof(line), log)) {
        bool of_abandoned = strstr(line, " was abandoned: ") != NULL;
        *ret_nabandoned += of_abandoned;
        nlines += !of_abandoned;
        if (!of_abandoned)
            fputs(line, stderr);
    }
    fclose(log);
    return nlines;
}

void driver_fail(const char *format, ...)
{
    va_list args;
    uint64_t nabandoned;
    va_start(args, format);
    fputs("mutation: ", stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; in pause %llu, after %llu clients and %llu servers were killed\n",
            (unsigned long long)driver.npauses, (unsigned long long)driver.nclients_killed,
            (unsigned long long)driver.nservers_killed);
    va_end(args);
    driver_print_log(&nabandoned);
    driver_end();
    exit(1);
}

/* ---- the server ---- */

void driver_start_server(void)
{
    int ready[2];
    if (pipe(ready) < 0)
        driver_fail("no pipe");
    driver.server = fork();
    if (driver.server == 0) {
        char fd[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        close(driver.shadow_fd);
        dup2(driver.log_fd, STDERR_FILENO);
        snprintf(fd, sizeof(fd), "%d", ready[1]);
        execl(GOALLOCD_PATH, "goallocd", "--name", driver.heap_name, "--socket",
              driver.shadow->socket, "--limit", "2G", "--reserve", "4G", "--ready-fd", fd,
              "--log-level", "warning", (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    ssize_t n = read(ready[0], &byte, 1);
    close(ready[0]);
    if (n != 1)
        driver_fail("goallocd did not start");
}

void driver_kill_server(void)
{
    int status;
    kill(driver.server, SIGKILL);
    waitpid(driver.server, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        driver_fail("goallocd has ended by itself, with status %#x", status);
    driver.nservers_killed++;
    usleep((useconds_t)driver_below(DEAD_MS * 1000));
    driver_start_server();
}

void driver_attach(void)
{
    struct goalloc_options options = {.size = sizeof(options),
                                      .timeout_ms = DRIVER_PATIENCE_MS,
                                      .client_name = "driver",
                                      .report = deeds_report,
                                      .report_data = driver.shadow};
    if (goalloc_attach(driver.shadow->socket, &options, &driver.heap) < 0)
        driver_fail("%s", goalloc_attach_error());
}

/* ---- clients ---- */

void driver_start_client(uint32_t client)
{
    char number[16];
    char fd[16];
    char seed[32];
    snprintf(number, sizeof(number), "%u", client);
    snprintf(fd, sizeof(fd), "%d", driver.shadow_fd);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)ga_test_random(&driver.random));
    driver.clients[client] = fork();
    if (driver.clients[client] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "mutation", "worker", number, fd, seed, (char *)NULL);
        _exit(127);
    }
}

void driver_kill_client(uint32_t client)
{
    int status;
    kill(driver.clients[client], SIGKILL);
    waitpid(driver.clients[client], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        driver_fail("client %u has ended by itself, with status %#x", client, status);
    uint32_t unknown = shadow_bury(driver.shadow, client);
    if (driver.shadow->kind[client] == SHADOW_ORDINARY)
        driver.nunknown += unknown;
    driver.nclients_killed++;
    driver_start_client(client);
}

void driver_stop_client_for_a_while(uint32_t client)
{
    kill(driver.clients[client], SIGSTOP);
    usleep((useconds_t)driver_below(STOPPED_MS * 1000));
    kill(driver.clients[client], SIGCONT);
    driver.nstops++;
}

void driver_see_alive(uint32_t client)
{
    int status;
    if (waitpid(driver.clients[client], &status, WNOHANG) == 0)
        return;
    driver.clients[client] = 0;
    driver_fail("client %u has ended by itself, with status %#x", client, status);
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
    execl(GOALLOCCTL_PATH, "goallocctl", "--socket", driver.shadow->socket, "gc", (char *)NULL);
    _exit(127);
}

/* It may find no server, or be told that the collection was abandoned: then it says so and ends
 * with 5 or 1. */
void driver_end_ctl_gc(pid_t ctl)
{
    int status = 0;
    pid_t gone;
    uint64_t end = driver_now_ms() + DRIVER_PATIENCE_MS;
    while ((gone = waitpid(ctl, &status, WNOHANG)) == 0 && driver_now_ms() < end)
        usleep(500);
    if (gone == 0)
        driver_fail("goallocctl gc (process %d) hangs", ctl);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code != 0 && code != 1 && code != 5)
        driver_fail("goallocctl gc has ended with status %#x", status);
}
