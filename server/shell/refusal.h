/* A connection that there is no memory for is accepted and closed. Left alone, it would be the last
 * one: libuv listens no further until it has been accepted. */
#ifndef GA_SERVER_SHELL_REFUSAL_H
#define GA_SERVER_SHELL_REFUSAL_H

#include <stdbool.h>

#include <uv.h>

/* Begin with {0}. Takes no memory; must outlive the loop's last turn. */
struct ga_refusal {
    uv_pipe_t handle;
    uv_stream_t *listening;
    bool is_busy;      /* the handle is being closed */
    bool has_one_more; /* to be refused after that */
};

/* Refuse the connection that waits at listening, if one does, now or as soon as the one before is
 * closed. */
void ga_refusal_next(struct ga_refusal *refusal, uv_stream_t *listening);

#endif
