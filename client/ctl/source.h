/* Where the answers come from: the server, through its socket, or the heap's shared memory objects,
 * which can be read also when their server is dead. Both answer the same requests with the same
 * messages, so the commands need not know which it is. */
#ifndef GA_CTL_SOURCE_H
#define GA_CTL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"

struct ga_channel;
struct ga_reply;
struct ga_shm_heap;

/* An answer, and what its message lies in: one of the two. */
struct ga_answer {
    const Goalloc__V1__Envelope *message;
    struct ga_reply *reply; /* from the server */
    void *memory;           /* from shared memory */
};

struct ga_source {
    const char *kind;           /* "socket", "shm" or "process", as JSON shows it */
    bool server_alive;          /* whoever answers on a socket is */
    const char *socket;         /* NULL where there is none */
    struct ga_channel *channel; /* to the server, or NULL */
    struct ga_shm_heap *heap;   /* the copy of the objects, or NULL */
};

/* Connect to the server at socket, which must outlive the source. Returns 0; a negative errno after
 * the reason has been told on stderr. */
int ga_source_open_socket(const char *socket, struct ga_source *ret);
/* Copy the heap called name, which must outlive the source, out of shared memory. As above. */
int ga_source_open_shm(const char *name, struct ga_source *ret);
/* Copy the heap that process pid has for itself, as the server at socket knows of it; both must
 * outlive the source. As above; -ENOENT where the server knows of none. */
int ga_source_open_process(const char *socket, uint32_t pid, struct ga_source *ret);
/* Connect to the source's socket anew, silently: for who goes on when a server has gone. Returns 0,
 * or a negative errno, and then nothing can be asked until it has returned 0. */
int ga_source_reopen(struct ga_source *source);
void ga_source_close(struct ga_source *source);

/* Have request answered by a message of body case expected. Returns 0 and *ret_answer, for
 * ga_answer_fini; or a negative errno after the reason has been told on stderr. */
int ga_source_ask(const struct ga_source *source, Goalloc__V1__Envelope *request,
                  Goalloc__V1__Envelope__BodyCase expected, struct ga_answer *ret_answer);
/* The same for a request that may take wait_ms longer than others. */
int ga_source_ask_within(const struct ga_source *source, Goalloc__V1__Envelope *request,
                         uint32_t wait_ms, Goalloc__V1__Envelope__BodyCase expected,
                         struct ga_answer *ret_answer);
void ga_answer_fini(struct ga_answer *answer);

#endif
