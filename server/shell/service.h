/* What the service manager is told (sd_notify(3)): that the server is ready, reloads, ends; a line
 * of status, once a second if it has changed; and where it watches us, that the loop still turns.
 * Nothing where nobody has asked to be told. A part of the server. */
#ifndef GA_SERVER_SHELL_SERVICE_H
#define GA_SERVER_SHELL_SERVICE_H

#include <stdbool.h>

#include <uv.h>

#define GA_SERVICE_STATUS_BYTES 256

struct ga_server;

struct ga_service {
    uv_timer_t timer;
    bool is_told;                         /* somebody wants to be */
    bool is_watched;                      /* and ends us if the loop does not turn */
    const char *trouble;                  /* what the status says besides; NULL = nothing */
    char status[GA_SERVICE_STATUS_BYTES]; /* the last that was told */
};

/* Begin, and end, with the server's loop. 0 or a negative errno. */
int ga_service_init(struct ga_server *server);
void ga_service_close(struct ga_server *server);

/* The socket accepts: say so, and from now on how the heap does. */
void ga_service_ready(struct ga_server *server);
/* A reload begins; and is done. trouble: what the status says of it from now on, which must stay;
 * NULL = nothing. */
void ga_service_reloading(struct ga_server *server);
void ga_service_reloaded(struct ga_server *server, const char *trouble);

#endif
