/* A server for tests of the channel: a thread that serves one connection on a Unix socket in a
 * directory of its own, and does with each message what the test says. It reads and writes
 * blockingly, one message after the other. */
#ifndef GA_TESTS_FAKE_SERVER_H
#define GA_TESTS_FAKE_SERVER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/message.h"
#include "proto/version.h"
#include "support/cunit_main.h"
#include "support/folder.h"

struct fake_server;

/* Called on the server's thread for each message. */
typedef void fake_answer_fn(struct fake_server *fs, const Goalloc__V1__Envelope *message);

struct fake_server {
    char directory[GA_TEST_FOLDER_BYTES];
    char path[100];
    int listen_fd;
    pthread_t thread;
    fake_answer_fn *answer;
    sem_t go; /* an answer may wait for it */

    /* The server's thread. */
    int fd;
    bool hang_up; /* set by an answer: end the connection */
    void *data;   /* the test's */
    struct ga_frame_reader reader;
    struct ga_decode_arena arena;
    uint8_t buffer[GA_FRAME_BUFFER_BYTES];
    uint8_t out[GA_FRAME_BUFFER_BYTES];
    _Alignas(max_align_t) uint8_t memory[GA_DECODE_ARENA_BYTES];
};

static inline void fake_write(struct fake_server *fs, const void *bytes, size_t nbytes)
{
    for (const uint8_t *at = bytes; nbytes > 0;) {
        ssize_t n = send(fs->fd, at, nbytes, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        nbytes -= (size_t)n;
    }
}

static inline void fake_reply(struct fake_server *fs, uint64_t id, Goalloc__V1__Envelope *message)
{
    size_t nbytes;
    message->id = id;
    if (ga_message_encode(message, fs->out, sizeof(fs->out), &nbytes) == 0)
        fake_write(fs, fs->out, nbytes);
    else
        fs->hang_up = true;
}

static inline void fake_welcome(struct fake_server *fs, uint64_t id, uint32_t version)
{
    Goalloc__V1__Welcome welcome = GOALLOC__V1__WELCOME__INIT;
    welcome.version = version;
    welcome.heap_name = (char *)"fake";
    welcome.server_version = (char *)"1.2.3";
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_WELCOME;
    message.welcome = &welcome;
    fake_reply(fs, id, &message);
}

static inline void fake_failure(struct fake_server *fs, uint64_t id, uint32_t code, char *detail)
{
    Goalloc__V1__Failure failure = GOALLOC__V1__FAILURE__INIT;
    failure.code = code;
    failure.detail = detail;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_FAILURE;
    message.failure = &failure;
    fake_reply(fs, id, &message);
}

/* Read and answer until the client ends the connection or an answer does. */
static inline void fake_serve(struct fake_server *fs)
{
    while (!fs->hang_up) {
        const uint8_t *payload;
        size_t room, payload_bytes;
        uint8_t *space = ga_frame_reader_space(&fs->reader, &room);
        ssize_t n = recv(fs->fd, space, room, 0);
        if (n <= 0)
            return;
        ga_frame_reader_filled(&fs->reader, (size_t)n);
        while (!fs->hang_up && ga_frame_reader_next(&fs->reader, &payload, &payload_bytes) > 0) {
            Goalloc__V1__Envelope *message;
            ga_decode_arena_reset(&fs->arena);
            if (ga_message_decode(payload, payload_bytes, &fs->arena, &message) < 0)
                return;
            fs->answer(fs, message);
        }
    }
}

static inline void *fake_run(void *arg)
{
    struct fake_server *fs = arg;
    fs->fd = accept4(fs->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fs->fd < 0)
        return NULL;
    fake_serve(fs);
    close(fs->fd);
    return NULL;
}

/* A socket that listens, and nobody who accepts. */
static inline void fake_listen(struct fake_server *fs, int backlog)
{
    memset(fs, 0, sizeof(*fs));
    CU_ASSERT_FATAL(ga_test_folder_make(fs->directory));
    snprintf(fs->path, sizeof(fs->path), "%s/socket", fs->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fs->path);
    fs->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_FATAL(fs->listen_fd >= 0);
    CU_ASSERT_EQUAL_FATAL(bind(fs->listen_fd, (const struct sockaddr *)&address, sizeof(address)),
                          0);
    CU_ASSERT_EQUAL_FATAL(listen(fs->listen_fd, backlog), 0);
    ga_frame_reader_init(&fs->reader, fs->buffer);
    ga_decode_arena_init(&fs->arena, fs->memory, sizeof(fs->memory));
    CU_ASSERT_EQUAL_FATAL(sem_init(&fs->go, 0, 0), 0);
}

static inline void fake_start(struct fake_server *fs, fake_answer_fn *answer, void *data)
{
    fake_listen(fs, 8);
    fs->answer = answer;
    fs->data = data;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&fs->thread, NULL, fake_run, fs), 0);
}

/* Take the socket away, without a server's thread. */
static inline void fake_unlisten(struct fake_server *fs)
{
    close(fs->listen_fd);
    ga_test_folder_remove(fs->directory);
    sem_destroy(&fs->go);
}

/* Wait until the connection has ended, if there was one, and take the socket away. */
static inline void fake_stop(struct fake_server *fs)
{
    shutdown(fs->listen_fd, SHUT_RDWR);
    pthread_join(fs->thread, NULL);
    fake_unlisten(fs);
}

#endif
