/* The goallocd of a benchmark run: see server.h. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define START_TIMEOUT_MS 10000
#define STOP_GRACE_MS    5000

static int make_folder(struct ga_bench_server *server)
{
    if (!ga_test_folder_make(server->folder)) {
        int err = -errno;
        server->folder[0] = '\0';
        return err;
    }
    snprintf(server->socket, sizeof server->socket, "%s/socket", server->folder);
    snprintf(server->log, sizeof server->log, "%s/log", server->folder);
    snprintf(server->heap, sizeof server->heap, "test-%d-bench", (int)getpid());
    return 0;
}

static int start_process(const char *path, unsigned limit_gib, struct ga_bench_server *server,
                         int ready_fd)
{
    int log_fd = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return -errno;
    char fd_text[16], limit[16];
    snprintf(limit, sizeof limit, "%uG", limit_gib);
    snprintf(fd_text, sizeof fd_text, "%d", ready_fd);
    const char *argv[] = {path,         "--ephemeral",  "--name",  server->heap,
                          "--socket",   server->socket, "--limit", limit,
                          "--ready-fd", fd_text,        NULL};
    struct ga_bench_command command = {
        .argv = argv, .out_fd = log_fd, .err_fd = log_fd, .kept_fd = ready_fd};
    int err = ga_bench_process_start(&command, &server->process);
    close(log_fd);
    return err;
}

static int await_ready(const struct ga_bench_server *server, int fd)
{
    int err = ga_bench_process_wait(&server->process, fd, START_TIMEOUT_MS);
    if (err < 0)
        return err;
    char text[16] = "";
    ssize_t length = read(fd, text, sizeof text - 1);
    return length > 0 && strncmp(text, "READY", 5) == 0 ? 0 : -EIO;
}

int ga_bench_server_start(const char *path, unsigned limit_gib, struct ga_bench_server *ret_server)
{
    struct ga_bench_server server = {0};
    int ready[2] = {-1, -1};
    int err = make_folder(&server);
    if (err == 0 && pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
        err = -errno;
    if (err == 0)
        err = start_process(path, limit_gib, &server, ready[1]);
    if (ready[1] >= 0)
        close(ready[1]);
    if (err == 0)
        err = await_ready(&server, ready[0]);
    if (ready[0] >= 0)
        close(ready[0]);
    if (err < 0) {
        if (err != -EINTR) {
            fprintf(stderr, "bench_run: %s does not start: %s\n", path, strerror(-err));
            ga_bench_server_show_log(&server);
        }
        ga_bench_server_stop(&server);
        return err;
    }
    *ret_server = server;
    return 0;
}

void ga_bench_server_show_log(const struct ga_bench_server *server)
{
    FILE *log = fopen(server->log, "re");
    if (!log)
        return;
    char line[1024];
    while (fgets(line, sizeof line, log))
        fprintf(stderr, "goallocd: %s", line);
    fclose(log);
}

void ga_bench_server_stop(struct ga_bench_server *server)
{
    ga_bench_process_end(&server->process, STOP_GRACE_MS);
    if (server->folder[0] == '\0')
        return;
    static const char *const parts[] = {"meta", "bits", "heap"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[sizeof server->heap + 32];
        snprintf(name, sizeof name, "/goalloc.%s.%s", server->heap, parts[i]);
        shm_unlink(name);
    }
    ga_test_folder_remove(server->folder);
    server->folder[0] = '\0';
}
