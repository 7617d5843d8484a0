#include "server/shell/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/shell/connection.h"
#include "server/shell/process.h"
#include "server/shell/server.h"

struct ga_program {
    uv_poll_t watch;
    struct ga_server *server;
    struct ga_program *next;
    int pidfd;
    uint32_t pid;
    uint32_t uid;
    uint32_t layout_version;
    uint64_t meta_address;
    uint64_t bits_address;
    uint64_t since_ms;
    char name[GA_CLIENT_NAME_BYTES];
};

/* Where the first program with a pid of at least pid is linked. */
static struct ga_program **link_of(struct ga_server *server, uint64_t pid)
{
    struct ga_program **link = &server->programs.first;
    while (*link && (*link)->pid < pid)
        link = &(*link)->next;
    return link;
}

static struct ga_program *find(struct ga_server *server, uint32_t pid)
{
    struct ga_program *program = *link_of(server, pid);
    return program && program->pid == pid ? program : NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct ga_program *program = handle->data;
    struct ga_server *server = program->server;
    close(program->pidfd);
    free(program);
    ga_server_left(server);
}

static void forget(struct ga_program *program)
{
    struct ga_programs *programs = &program->server->programs;
    struct ga_program **link = &programs->first;
    while (*link != program)
        link = &(*link)->next;
    *link = program->next;
    programs->count--;
    uv_close((uv_handle_t *)&program->watch, on_closed);
}

static void on_process_event(uv_poll_t *watch, int status, int events)
{
    if (status == 0 && (events & UV_READABLE))
        forget(watch->data);
}

/* Watch pidfd, which is the program's from then on. */
static int watch(struct ga_server *server, int pidfd, uint32_t pid, struct ga_program **ret)
{
    struct ga_program *program = calloc(1, sizeof(*program));
    if (!program)
        return -ENOMEM;
    int r = uv_poll_init(&server->loop, &program->watch, pidfd);
    if (r < 0) {
        free(program);
        return r;
    }
    program->watch.data = program;
    program->server = server;
    program->pidfd = pidfd;
    program->pid = pid;
    struct ga_program **link = link_of(server, pid);
    program->next = *link;
    *link = program;
    server->programs.count++;
    r = uv_poll_start(&program->watch, UV_READABLE, on_process_event);
    if (r < 0) {
        program->pidfd = -1; /* its caller's still */
        forget(program);
        return r;
    }
    *ret = program;
    return 0;
}

static int make(struct ga_connection *connection, struct ga_program **ret)
{
    uv_os_fd_t socket;
    int pidfd = -1;
    if (connection->server->programs.count == GA_PROGRAMS_MAX)
        return -ENOSPC;
    int r = uv_fileno((uv_handle_t *)&connection->handle, &socket);
    if (r == 0)
        r = ga_process_pidfd(socket, &connection->peer, &pidfd);
    if (r < 0)
        return r;
    r = watch(connection->server, pidfd, connection->peer.pid, ret);
    if (r < 0)
        close(pidfd);
    return r;
}

int ga_programs_add(struct ga_connection *connection, const Goalloc__V1__Program *note)
{
    struct ga_program *program = find(connection->server, connection->peer.pid);
    if (!program)
        connection->server->programs.nseen++; /* also one that has ended meanwhile */
    int r = program ? 0 : make(connection, &program);
    if (r < 0)
        return r;
    program->uid = connection->peer.uid;
    program->layout_version = note->layout_version;
    program->meta_address = note->meta_address;
    program->bits_address = note->bits_address;
    program->since_ms = ga_world_now_ms();
    snprintf(program->name, sizeof(program->name), "%s", connection->client_name);
    return 0;
}

int ga_programs_next(struct ga_server *server, uint64_t pid, Goalloc__V1__Program *ret)
{
    struct ga_program *program = *link_of(server, pid);
    if (!program)
        return -ENOENT;
    goalloc__v1__program__init(ret);
    ret->pid = program->pid;
    ret->uid = program->uid;
    ret->name = program->name;
    ret->age_ms = ga_world_now_ms() - program->since_ms;
    ret->layout_version = program->layout_version;
    ret->meta_address = program->meta_address;
    ret->bits_address = program->bits_address;
    return 0;
}

void ga_programs_abandon(struct ga_server *server)
{
    while (server->programs.first)
        forget(server->programs.first);
}
