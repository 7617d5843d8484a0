/* goallocctl serve: a page that shows the heap live, and what programs read of it. */
#include "client/ctl/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ctl/command_line.h"
#include "client/ctl/feed.h"
#include "client/ctl/http.h"
#include "client/ctl/listen_address.h"
#include "client/ctl/open.h"

#define LISTEN_DEFAULT "127.0.0.1:4625" /* "goal" on a telephone */

/* Feed until a signal ends it. The signals are blocked in every thread, so only here one arrives.
 */
static void feed_until(const sigset_t *ends, struct ga_feed *feed)
{
    const struct timespec interval = {.tv_sec = GA_FEED_INTERVAL_MS / 1000,
                                      .tv_nsec = GA_FEED_INTERVAL_MS % 1000 * 1000000};
    while (sigtimedwait(ends, NULL, &interval) < 0)
        if (errno == EAGAIN)
            ga_feed_look(feed);
}

static int serve(struct ga_listener *listener, const sigset_t *ends, struct ga_feed *feed)
{
    struct ga_http *http;
    int r = ga_http_start(feed, listener, &http);
    if (r < 0)
        return r;
    printf("goallocctl: the heap '%s' is shown at %s\n", feed->map_source.heap_name, listener->url);
    fflush(stdout);
    feed_until(ends, feed);
    ga_http_stop(http);
    return 0;
}

static int serve_source(struct ga_listener *listener, const sigset_t *ends, struct ga_ctl *ctl)
{
    struct ga_feed *feed = malloc(sizeof(*feed));
    if (!feed) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    int r = ga_feed_open(ctl, feed);
    if (r == 0) {
        r = serve(listener, ends, feed);
        ga_feed_close(feed);
    }
    free(feed);
    return r;
}

int ga_ctl_serve(const struct ga_request *request)
{
    char socket[GA_ADDRESS_BYTES];
    struct ga_listener listener;
    struct ga_ctl ctl = request->ctl;
    int r = ga_listen(request->listen ? request->listen : LISTEN_DEFAULT, &listener);
    if (r == -EADDRINUSE)
        return GA_CTL_TAKEN;
    if (r == -EINVAL)
        return GA_CTL_USAGE;
    if (r < 0)
        return r;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN); /* of who hangs up in the middle of an answer */
    r = ga_open(request, socket, &ctl.source);
    if (r == 0) {
        r = serve_source(&listener, &ends, &ctl);
        ga_source_close(&ctl.source);
    }
    ga_listener_close(&listener);
    return r;
}
