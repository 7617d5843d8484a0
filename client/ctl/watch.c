/* goallocctl watch: the server's events, line by line, until a signal ends it.
 *
 * Events are written on the library's thread, as they come. Where nobody reads them it waits, the
 * server finds that we do not read, and leaves events out; it tells how many. The main thread waits
 * for signals and for the server's end, and then connects anew. */
#include "client/ctl/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/ctl/ending.h"
#include "client/ctl/open.h"
#include "client/ctl/printable.h"
#include "proto/error.h"
#include "proto/event.h"

#define RETRY_MS   200
#define TIME_BYTES 32
#define LINE_BYTES (GA_EVENT_JSON_BYTES)

struct watching {
    const struct ga_request *request;
    char socket[GA_ADDRESS_BYTES];
    struct ga_channel *channel; /* NULL = there is none just now */
    int signals;                /* readable: we are to end */
    int lost;                   /* an eventfd: the connection has ended */
    int stop;                   /* an eventfd: what is not written yet will not be */
};

/* ---- output, on the library's thread while there is a connection ---- */

/* Wait until stdout takes more. False: we end. */
static bool await_room(const struct watching *watching)
{
    struct pollfd fds[] = {{.fd = STDOUT_FILENO, .events = POLLOUT},
                           {.fd = watching->stop, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    return !fds[1].revents;
}

/* A line, which a pipe takes as a whole: it is shorter than PIPE_BUF. */
static void put(const struct watching *watching, const char *line, size_t nbytes)
{
    while (nbytes > 0 && await_room(watching)) {
        ssize_t n = write(STDOUT_FILENO, line, nbytes);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return; /* nobody reads any more, which the main thread sees */
        if (n > 0) {
            line += n;
            nbytes -= (size_t)n;
        }
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* As "09:41:07.123", where we are. */
static void clock_text(uint64_t time_us, char ret[static TIME_BYTES])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm local = {0};
    localtime_r(&seconds, &local);
    size_t length = strftime(ret, TIME_BYTES, "%H:%M:%S", &local);
    snprintf(ret + length, TIME_BYTES - length, ".%03u", (unsigned)(time_us / 1000 % 1000));
}

static void put_text(const struct watching *watching, uint64_t time_us, const char *kind,
                     const char *sentence)
{
    char line[LINE_BYTES];
    char when[TIME_BYTES];
    clock_text(time_us, when);
    char *shown = ga_printable_copy(sentence);
    int n = snprintf(line, sizeof(line), "%s  %-17s  %s\n", when, kind, shown ? shown : "");
    free(shown);
    if (n >= (int)sizeof(line)) {
        n = (int)sizeof(line) - 1;
        line[n - 1] = '\n';
    }
    put(watching, line, (size_t)n);
}

/* What this program says itself. text: for people. */
static void put_own(const struct watching *watching, const char *kind, const char *text,
                    const char *key, uint64_t number)
{
    if (!watching->request->ctl.json) {
        put_text(watching, now_us(), kind, text);
        return;
    }
    char buffer[LINE_BYTES];
    struct ga_json_line line;
    ga_json_line_begin(&line, buffer, sizeof(buffer));
    ga_json_line_time(&line, "time", now_us());
    ga_json_line_string(&line, "event", kind);
    if (key)
        ga_json_line_number(&line, key, number);
    else
        ga_json_line_string(&line, "text", text);
    ga_json_line_end(&line);
    put(watching, line.text, line.length);
}

static void put_event(const struct watching *watching, const Goalloc__V1__Event *event)
{
    if (!watching->request->ctl.json) {
        char sentence[GA_EVENT_TEXT_BYTES];
        ga_event_sentence(event, sentence);
        put_text(watching, event->time_us, ga_event_name(event->kind), sentence);
        return;
    }
    char buffer[LINE_BYTES];
    struct ga_json_line line;
    ga_json_line_begin(&line, buffer, sizeof(buffer));
    ga_json_line_time(&line, "time", event->time_us);
    ga_event_add_to_json(event, &line);
    ga_json_line_end(&line);
    put(watching, line.text, line.length);
}

static void on_note(const Goalloc__V1__Envelope *note, void *data)
{
    const struct watching *watching = data;
    if (note->body_case != GOALLOC__V1__ENVELOPE__BODY_EVENTS)
        return;
    const Goalloc__V1__Events *events = note->events;
    if (events->lost > 0) {
        char text[96];
        snprintf(text, sizeof(text), "%" PRIu64 " event%s left out: they were not read in time",
                 events->lost, events->lost == 1 ? " was" : "s were");
        put_own(watching, "lost", text, "count", events->lost);
    }
    for (size_t i = 0; i < events->n_events; i++)
        put_event(watching, events->events[i]);
}

/* ---- the connection ---- */

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));
    (void)n; /* what is there already is enough */
}

static void on_lost(void *data)
{
    signal_fd(((const struct watching *)data)->lost);
}

static int ask(const struct watching *watching, char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    Goalloc__V1__Watch body = GOALLOC__V1__WATCH__INIT;
    body.kinds =
        watching->request->events ? watching->request->events : GA_EVENTS_ALL & ~GA_EVENTS_FREQUENT;
    body.pid = (uint32_t)watching->request->ctl.filter.pid;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_WATCH;
    request.watch = &body;
    struct ga_reply *reply = NULL;
    int r = ga_channel_call(watching->channel, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, ret_why,
                            &reply);
    ga_reply_release(reply);
    return r;
}

static void disconnect(struct watching *watching)
{
    ga_channel_close(watching->channel);
    watching->channel = NULL;
}

/* Connect, and ask for events. 0 or a negative errno, and then why. */
static int connect_to(struct watching *watching, char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    struct ga_channel_options options = {
        .client_name = "goallocctl", .on_note = on_note, .on_lost = on_lost, .data = watching};
    uint64_t before;
    ssize_t n = read(watching->lost, &before, sizeof(before)); /* of an earlier one */
    (void)n;
    int r = ga_channel_open(watching->socket, &options, ret_why, &watching->channel);
    if (r < 0)
        return r;
    r = ask(watching, ret_why);
    if (r < 0)
        disconnect(watching);
    return r;
}

/* ---- the main thread ---- */

enum news { NEWS_END, NEWS_LOST, NEWS_TIME };

/* Wait for a signal, the end of who reads, the end of the connection, or for timeout_ms. */
static enum news await(const struct watching *watching, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = watching->signals, .events = POLLIN},
                           {.fd = STDOUT_FILENO, .events = 0},
                           {.fd = watching->lost, .events = POLLIN}};
    int n;
    do {
        n = poll(fds, watching->channel ? 3 : 2, timeout_ms);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return NEWS_TIME;
    return fds[0].revents || fds[1].revents ? NEWS_END : NEWS_LOST;
}

/* Until there is a server again. False: we are to end. */
static bool reconnect(struct watching *watching)
{
    char why[GA_CHANNEL_ERROR_BYTES];
    put_own(watching, "server-lost", "the server has ended; the next one is waited for", NULL, 0);
    while (connect_to(watching, why) < 0)
        if (await(watching, RETRY_MS) == NEWS_END)
            return false;
    char text[GA_CHANNEL_ERROR_BYTES];
    snprintf(text, sizeof(text), "goallocd %s serves heap '%s'",
             ga_channel_server_version(watching->channel), ga_channel_heap_name(watching->channel));
    put_own(watching, "server-found", text, NULL, 0);
    return true;
}

static int watch(struct watching *watching)
{
    char why[GA_CHANNEL_ERROR_BYTES] = "";
    int r = connect_to(watching, why);
    if (r < 0) {
        fprintf(stderr, "goallocctl: %s\n", why[0] ? why : ga_error_text(r));
        return r;
    }
    while (await(watching, -1) != NEWS_END) {
        disconnect(watching);
        if (!reconnect(watching))
            break;
    }
    signal_fd(watching->stop);
    disconnect(watching);
    return 0;
}

int ga_ctl_watch(const struct ga_request *request)
{
    struct watching watching = {.request = request};
    int r = ga_open_which(request, watching.socket);
    if (r < 0)
        return r;
    signal(SIGPIPE, SIG_IGN);
    tzset();
    watching.signals = ga_ending_open();
    if (watching.signals < 0)
        return watching.signals;
    watching.lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watching.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watching.lost >= 0 && watching.stop >= 0) {
        r = watch(&watching);
    } else {
        r = -errno;
        perror("goallocctl");
    }
    close(watching.signals);
    close(watching.lost);
    close(watching.stop);
    return r;
}
