/* The two kinds of sources behind one face. */
#include "client/ctl/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/channel.h"
#include "client/ctl/shm_answer.h"
#include "client/ctl/shm_heap.h"
#include "proto/error.h"

#define ANSWER_MS 5000u

static int connect_to(const char *socket, char reason[static GA_CHANNEL_ERROR_BYTES],
                      struct ga_channel **ret)
{
    struct ga_channel_options options = {.client_name = "goallocctl"};
    return ga_channel_open(socket, &options, reason, ret);
}

int ga_source_open_socket(const char *socket, struct ga_source *ret)
{
    char reason[GA_CHANNEL_ERROR_BYTES];
    struct ga_source source = {.kind = "socket", .server_alive = true, .socket = socket};
    int err = connect_to(socket, reason, &source.channel);
    if (err < 0) {
        fprintf(stderr, "goallocctl: %s\n", reason);
        return err;
    }
    *ret = source;
    return 0;
}

int ga_source_open_shm(const char *name, struct ga_source *ret)
{
    struct ga_source source = {.kind = "shm", .heap = calloc(1, sizeof(*source.heap))};
    if (!source.heap) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    int err = ga_shm_heap_open(name, source.heap);
    if (err < 0) {
        free(source.heap);
        return err;
    }
    ga_shm_heap_clean_names(source.heap);
    source.server_alive = source.heap->server_alive;
    *ret = source;
    return 0;
}

/* Find the program that has this pid, or the next one: where its heap is. */
static int find_program(const struct ga_source *server, uint32_t pid, struct ga_answer *ret)
{
    Goalloc__V1__ListPrograms body = GOALLOC__V1__LIST_PROGRAMS__INIT;
    body.cursor = pid;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_PROGRAMS;
    request.list_programs = &body;
    int err = ga_source_ask(server, &request, GOALLOC__V1__ENVELOPE__BODY_PROGRAM_LIST, ret);
    if (err < 0)
        return err;
    const Goalloc__V1__ProgramList *list = ret->message->program_list;
    if (list->n_programs > 0 && list->programs[0]->pid == pid)
        return 0;
    ga_answer_fini(ret);
    fprintf(stderr,
            "goallocctl: the server at %s knows of no process %u that has a heap of its own; "
            "'goallocctl clients' lists those it knows\n",
            server->socket, pid);
    return -ENOENT;
}

static int open_program(const Goalloc__V1__Program *program, struct ga_source *ret)
{
    static const char name[] = "own";
    struct ga_source source = {.kind = "process", .heap = calloc(1, sizeof(*source.heap))};
    if (!source.heap) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    int err = ga_shm_heap_open_process(name, program->pid, program->meta_address,
                                       program->bits_address, source.heap);
    if (err < 0) {
        free(source.heap);
        return err;
    }
    ga_shm_heap_clean_names(source.heap);
    source.server_alive = true;
    *ret = source;
    return 0;
}

int ga_source_open_process(const char *socket, uint32_t pid, struct ga_source *ret)
{
    struct ga_source server;
    struct ga_answer answer;
    int err = ga_source_open_socket(socket, &server);
    if (err < 0)
        return err;
    err = find_program(&server, pid, &answer);
    if (err == 0) {
        err = open_program(answer.message->program_list->programs[0], ret);
        ga_answer_fini(&answer);
    }
    ga_source_close(&server);
    return err;
}

int ga_source_reopen(struct ga_source *source)
{
    char reason[GA_CHANNEL_ERROR_BYTES];
    ga_channel_close(source->channel);
    source->channel = NULL;
    return connect_to(source->socket, reason, &source->channel);
}

void ga_source_close(struct ga_source *source)
{
    ga_channel_close(source->channel);
    if (source->heap)
        ga_shm_heap_close(source->heap);
    free(source->heap);
    *source = (struct ga_source){0};
}

int ga_source_ask(const struct ga_source *source, Goalloc__V1__Envelope *request,
                  Goalloc__V1__Envelope__BodyCase expected, struct ga_answer *ret_answer)
{
    return ga_source_ask_within(source, request, 0, expected, ret_answer);
}

/* Whether a call that ended with err was not answered, or by nothing that can be read. */
static bool is_silence(int err)
{
    return err == -ETIMEDOUT || err == -ENOTCONN || err == -ECONNRESET || err == -ECONNREFUSED ||
           err == -EPROTO || err == -ENOMEM;
}

int ga_source_ask_within(const struct ga_source *source, Goalloc__V1__Envelope *request,
                         uint32_t wait_ms, Goalloc__V1__Envelope__BodyCase expected,
                         struct ga_answer *ret_answer)
{
    if (source->heap)
        return ga_shm_answer(source->heap, request, ret_answer);
    char detail[GA_CHANNEL_ERROR_BYTES] = "";
    struct ga_answer answer = {0};
    int err = ga_channel_call_within(source->channel, request, ANSWER_MS + wait_ms, expected,
                                     detail, &answer.reply);
    if (err < 0) {
        const char *more = detail[0] ? detail : ga_error_text(err);
        fprintf(stderr,
                is_silence(err) ? "goallocctl: the server at %s did not answer: %s\n"
                                : "goallocctl: the server at %s refuses: %s\n",
                source->socket, more);
        return err;
    }
    answer.message = ga_reply_message(answer.reply);
    *ret_answer = answer;
    return 0;
}

void ga_answer_fini(struct ga_answer *answer)
{
    ga_reply_release(answer->reply);
    free(answer->memory);
    *answer = (struct ga_answer){0};
}
