/* The loop: look at the heap, draw, wait for a key, a signal or the time. A heap in shared memory
 * is copied anew for each look. Where the server ends, the last look stays on the screen, which
 * says so, until there is another. Signals end it as the key does, so the terminal is always given
 * back. */
#include "client/ctl/top.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/ctl/ending.h"
#include "client/ctl/open.h"
#include "client/ctl/printable.h"
#include "client/ctl/top_fetch.h"
#include "client/ctl/top_json.h"
#include "client/ctl/top_screen.h"
#include "client/ctl/units.h"

#define INTERVAL_MS     1000u
#define INTERVAL_MIN_MS 200u
#define INTERVAL_MAX_MS 60000u

struct top {
    struct ga_ctl ctl;
    char socket[GA_ADDRESS_BYTES];
    const char *shm;
    bool open;
    struct ga_top_sample before;
    struct ga_top_sample now;
    bool has_before;
    struct ga_top_state state;
    int signals;
};

/* ---- looking ---- */

/* Who only looks keeps no private server. */
static void say_onlooker(const struct ga_ctl *ctl)
{
    Goalloc__V1__Watch body = GOALLOC__V1__WATCH__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_WATCH;
    request.watch = &body;
    struct ga_answer answer = {0};
    if (ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, &answer) == 0)
        ga_answer_fini(&answer);
}

static void close_source(struct top *top)
{
    if (top->open)
        ga_source_close(&top->ctl.source);
    top->open = false;
}

static int open_source(struct top *top)
{
    if (top->shm)
        close_source(top); /* a copy is of one moment */
    if (top->open)
        return 0;
    int r = top->shm ? ga_source_open_shm(top->shm, &top->ctl.source)
                     : ga_source_open_socket(top->socket, &top->ctl.source);
    top->open = r == 0;
    if (r == 0 && !top->shm)
        say_onlooker(&top->ctl);
    return r;
}

static int look(struct top *top)
{
    struct ga_top_sample sample;
    int r = open_source(top);
    if (r == 0)
        r = ga_top_fetch(&top->ctl, &sample);
    if (r < 0) {
        close_source(top);
        return r;
    }
    ga_top_sample_fini(&top->before);
    top->has_before = top->now.time_ns != 0;
    top->before = top->now;
    top->now = sample;
    return 0;
}

static const struct ga_top_sample *before(const struct top *top)
{
    return top->has_before ? &top->before : NULL;
}

static void note_history(struct top *top)
{
    struct ga_top_rates rates;
    ga_top_get_rates(before(top), &top->now, &rates);
    double *history = top->state.history;
    memmove(history, history + 1, (GA_TOP_HISTORY - 1) * sizeof(*history));
    history[GA_TOP_HISTORY - 1] = rates.mallocs + rates.frees;
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until a key may have been typed, or until_ms. False: a signal says that it is over. */
static bool wait_until(const struct top *top, uint64_t until_ms, bool keys)
{
    struct pollfd fds[] = {{.fd = top->signals, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    uint64_t now = now_ms();
    int n = poll(fds, keys ? 2 : 1, until_ms > now ? (int)(until_ms - now) : 0);
    return n <= 0 || fds[0].revents == 0;
}

/* ---- keys ---- */

static void choose_view(struct ga_top_state *state, int view)
{
    state->view = (enum ga_top_view)((view + GA_TOP_VIEWS) % GA_TOP_VIEWS);
    state->first = 0;
}

static void choose_column(struct ga_top_state *state, int by)
{
    size_t n;
    const struct ga_top_column *columns = ga_top_columns(state->view, &n);
    size_t *column = &state->column[state->view];
    *column = (*column + n + (size_t)by) % n;
    state->downwards[state->view] = !columns[*column].is_left;
}

static void type_filter(struct ga_top_state *state, int key)
{
    size_t length = strlen(state->filter);
    if (key == '\r' || key == '\n' || key == KEY_ENTER) {
        state->typing = false;
    } else if (key == 27) {
        state->filter[0] = '\0';
        state->typing = false;
    } else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
        if (length > 0)
            state->filter[length - 1] = '\0';
    } else if (key >= ' ' && key < 127 && length + 1 < sizeof(state->filter)) {
        state->filter[length] = (char)key;
        state->filter[length + 1] = '\0';
    }
    state->first = 0;
}

static void scroll_by(struct ga_top_state *state, int lines)
{
    size_t back = lines < 0 ? (size_t)-lines : 0;
    if (lines > 0)
        state->first += (size_t)lines;
    else
        state->first -= back < state->first ? back : state->first;
}

static void obey_scrolling(struct ga_top_state *state, int key)
{
    switch (key) {
    case KEY_DOWN:
        scroll_by(state, 1);
        break;
    case KEY_UP:
        scroll_by(state, -1);
        break;
    case KEY_NPAGE:
        scroll_by(state, LINES / 2);
        break;
    case KEY_PPAGE:
        scroll_by(state, -LINES / 2);
        break;
    case KEY_HOME:
        state->first = 0;
        break;
    default:
        break;
    }
}

static void set_interval(struct ga_top_state *state, unsigned ms)
{
    state->interval_ms = ms < INTERVAL_MIN_MS   ? INTERVAL_MIN_MS
                         : ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS
                                                : ms;
}

/* False: the key is that to quit. */
static bool obey(struct ga_top_state *state, int key)
{
    if (key == KEY_RESIZE)
        return true;
    if (state->typing) {
        type_filter(state, key);
        return true;
    }
    if (state->help) {
        state->help = false;
        return true;
    }
    switch (key) {
    case 'q':
    case KEY_F(10):
        return false;
    case '1':
    case '2':
    case '3':
        choose_view(state, key - '1');
        break;
    case '\t':
        choose_view(state, (int)state->view + 1);
        break;
    case KEY_BTAB:
        choose_view(state, (int)state->view - 1);
        break;
    case 's':
    case '>':
    case KEY_RIGHT:
        choose_column(state, 1);
        break;
    case '<':
    case KEY_LEFT:
        choose_column(state, -1);
        break;
    case 'r':
        state->downwards[state->view] = !state->downwards[state->view];
        break;
    case '/':
        state->typing = true;
        break;
    case 27:
        state->filter[0] = '\0';
        break;
    case 'h':
    case '?':
    case KEY_F(1):
        state->help = true;
        break;
    case ' ':
        state->paused = !state->paused;
        break;
    case '+':
        set_interval(state, state->interval_ms / 2);
        break;
    case '-':
        set_interval(state, state->interval_ms * 2);
        break;
    default:
        obey_scrolling(state, key);
        break;
    }
    return true;
}

static bool obey_keys(struct ga_top_state *state)
{
    for (int key; (key = getch()) != ERR;)
        if (!obey(state, key))
            return false;
    return true;
}

/* ---- on a terminal ---- */

static int go_on(struct top *top)
{
    struct ga_top_state *state = &top->state;
    uint64_t next_ms = now_ms() + INTERVAL_MIN_MS; /* rates come soon */
    int r = ga_top_screen_draw(state, before(top), &top->now);
    while (r == 0 && wait_until(top, next_ms, true) && obey_keys(state)) {
        if (now_ms() >= next_ms) {
            next_ms = now_ms() + state->interval_ms;
            if (!state->paused) {
                state->lost = look(top) < 0;
                note_history(top);
            }
        }
        r = ga_top_screen_draw(state, before(top), &top->now);
    }
    return r;
}

/* What fails while the screen is up is shown there; a line on stderr would spoil it. */
static int keep_stderr_off(void)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (saved >= 0 && nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    if (nowhere >= 0)
        close(nowhere);
    return saved;
}

static int show(struct top *top)
{
    bool colors = ga_color(stdout, GA_COLOR_GOOD)[0] != '\0';
    int r = ga_top_screen_begin(colors);
    if (r == -ERANGE)
        fprintf(stderr,
                "goallocctl: the terminal is too small: top needs %d columns and %d lines\n",
                GA_TOP_MIN_COLUMNS, GA_TOP_MIN_LINES);
    else if (r < 0)
        fputs("goallocctl: top cannot use this terminal: is TERM set?\n", stderr);
    if (r < 0)
        return GA_CTL_TERMINAL;
    int saved = keep_stderr_off();
    r = go_on(top);
    ga_top_screen_end();
    if (saved >= 0) {
        dup2(saved, STDERR_FILENO);
        close(saved);
    }
    return r;
}

/* ---- reports ---- */

static void print_totals(const struct top *top)
{
    struct ga_top_rates rates;
    char text[6][GA_TOP_CELL_BYTES];
    char size[4][GA_UNITS_BYTES];
    const struct ga_top_sample *now = &top->now;
    ga_top_get_rates(before(top), now, &rates);
    ga_units_size(now->committed_bytes, size[0]);
    ga_units_size(now->limit_bytes, size[1]);
    ga_units_size(now->inuse_bytes, size[2]);
    ga_units_size(now->alloc_bytes, size[3]);
    printf("heap %s, pid %" PRIu32 ": %s of %s, %s in spans, %s live in %" PRIu64 " objects\n",
           now->heap_name, now->server_pid, size[0], size[1], size[2], size[3], now->objects);
    ga_top_rate_text(rates.mallocs, text[0]);
    ga_top_rate_text(rates.frees, text[1]);
    ga_top_rate_text(rates.lease_requests, text[2]);
    ga_top_time_text(rates.served_p99, text[3]);
    ga_top_time_text(rates.waited_p99, text[4]);
    printf("malloc %s/s, free %s/s, lease %s/s; p99 of a lease: served %s, waited %s; server cpu "
           "%.1f%%\n",
           text[0], text[1], text[2], text[3], text[4], rates.cpu_share * 100);
}

static int print_view(const struct top *top, enum ga_top_view view)
{
    size_t ncolumns;
    size_t nrows;
    struct ga_top_row *rows;
    const struct ga_top_column *columns = ga_top_columns(view, &ncolumns);
    int r = ga_top_make_rows(view, before(top), &top->now, NULL, top->state.column[view],
                             top->state.downwards[view], &rows, &nrows);
    if (r < 0)
        return r;
    for (size_t line = 0; line <= nrows; line++) {
        for (size_t i = 0; i < ncolumns; i++) {
            const char *text = line == 0 ? columns[i].title : rows[line - 1].cell[i];
            size_t taken = ga_printable_columns(text); /* here no name is cut */
            char cell[2 * GA_TOP_CELL_BYTES];
            ga_printable_pad(cell, sizeof(cell), text,
                             taken > columns[i].width ? taken : columns[i].width,
                             columns[i].is_left);
            printf("%s%s", i ? " " : "", cell);
        }
        putchar('\n');
    }
    free(rows);
    return 0;
}

static int print_report(const struct top *top)
{
    if (top->ctl.json)
        return ga_top_print_json(before(top), &top->now);
    print_totals(top);
    int r = 0;
    for (int view = 0; view < GA_TOP_VIEWS && r == 0; view++) {
        putchar('\n');
        r = print_view(top, (enum ga_top_view)view);
    }
    putchar('\n');
    return r;
}

/* So many; 0 = until it is ended, or nobody reads. */
static int report(struct top *top, uint64_t nreports)
{
    for (uint64_t n = 1;; n++) {
        /* Rates are of the time between two looks. */
        if (!wait_until(top, now_ms() + top->state.interval_ms, false))
            return 0;
        int r = look(top);
        if (r < 0)
            return r;
        r = print_report(top);
        if (r < 0 || fflush(stdout) != 0 || n == nreports)
            return r;
    }
}

/* ---- the command ---- */

static void init_state(struct ga_top_state *state, unsigned interval_ms)
{
    set_interval(state, interval_ms ? interval_ms : INTERVAL_MS);
    for (int view = 0; view < GA_TOP_VIEWS; view++) {
        state->column[view] = ga_top_first_column((enum ga_top_view)view);
        state->downwards[view] = view != GA_TOP_ARENAS;
    }
}

static bool is_reported(const struct ga_request *request)
{
    return request->once || request->batch || request->ctl.json;
}

static int run(struct top *top, const struct ga_request *request)
{
    int r = look(top);
    if (r < 0)
        return r;
    r = is_reported(request) ? report(top, request->once ? 1 : request->nreports) : show(top);
    if (r == -ENOMEM)
        fputs("goallocctl: out of memory\n", stderr);
    return r;
}

int ga_ctl_top(const struct ga_request *request)
{
    struct top top = {.shm = request->shm, .ctl.json = request->ctl.json};
    if (!is_reported(request) && !(isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))) {
        fputs("goallocctl: top needs a terminal; elsewhere give '--once', '--batch' or '--json'\n",
              stderr);
        return GA_CTL_TERMINAL;
    }
    int r = request->shm ? 0 : ga_open_which(request, top.socket);
    if (r < 0)
        return r;
    top.signals = ga_ending_open();
    if (top.signals < 0)
        return top.signals;
    init_state(&top.state, request->interval_ms);
    r = run(&top, request);
    close_source(&top);
    ga_top_sample_fini(&top.before);
    ga_top_sample_fini(&top.now);
    close(top.signals);
    return r;
}
