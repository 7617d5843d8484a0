/* From the top: a line on who serves what, bars and rates as many as there is room for, the tabs,
 * the table, and a line of keys. What is narrow loses columns of the table, and the ends of lines.
 */
#include "client/ctl/top_screen.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ctl/printable.h"
#include "client/ctl/units.h"

#define LABEL_COLUMNS 8
#define TEXT_BYTES    256
#define GAP           1

enum pair { PAIR_TITLE = 1, PAIR_GOOD, PAIR_WARN, PAIR_BAD, PAIR_KEY };

static bool has_utf8;
static bool has_pairs;
static SCREEN *screen;

int ga_top_screen_begin(bool colors)
{
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return -ENOTTY;
    if (LINES < GA_TOP_MIN_LINES || COLS < GA_TOP_MIN_COLUMNS) {
        ga_top_screen_end();
        return -ERANGE;
    }
    has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    has_pairs = colors && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (has_pairs) {
        init_pair(PAIR_TITLE, COLOR_CYAN, -1);
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        init_pair(PAIR_WARN, COLOR_YELLOW, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
        init_pair(PAIR_KEY, COLOR_BLACK, COLOR_CYAN);
    }
    return 0;
}

void ga_top_screen_end(void)
{
    if (!screen)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

static attr_t color(enum pair pair)
{
    if (has_pairs)
        return (attr_t)COLOR_PAIR(pair);
    return pair == PAIR_KEY ? A_REVERSE : A_NORMAL;
}

/* Text at a place, no further than the line goes. */
static void put(int y, int x, attr_t attributes, const char *text)
{
    if (y < 0 || y >= LINES || x >= COLS)
        return;
    attrset((int)attributes);
    mvaddnstr(y, x, text, COLS - x);
    attrset(A_NORMAL);
}

/* ---- the head ---- */

static void draw_title(const struct ga_top_state *state, const struct ga_top_sample *now)
{
    char text[TEXT_BYTES];
    char uptime[GA_UNITS_BYTES];
    char when[16];
    time_t seconds = time(NULL);
    struct tm local;
    localtime_r(&seconds, &local);
    strftime(when, sizeof(when), "%H:%M:%S", &local);
    ga_units_duration(now->uptime_ms, uptime);
    snprintf(text, sizeof(text), " %s  goallocd %s, pid %" PRIu32 "%s%s  %zu client%s",
             now->heap_name, now->server_version, now->server_pid,
             now->server_alive ? (now->uptime_ms ? ", up " : "") : " (dead)",
             now->server_alive && now->uptime_ms ? uptime : "", now->nclients,
             now->nclients == 1 ? "" : "s");
    attrset(A_REVERSE | A_BOLD);
    mvhline(0, 0, ' ', COLS);
    put(0, 0, A_REVERSE | A_BOLD, text);
    int x = COLS - (int)strlen(when) - 1;
    if (state->lost)
        put(0, COLS > 24 ? COLS - 24 : 0, A_REVERSE | A_BOLD | color(PAIR_BAD),
            " no server: waiting    ");
    else if (state->paused)
        put(0, COLS - 9, A_REVERSE | A_BOLD, " paused  ");
    else if (x > (int)strlen(text) + 2)
        put(0, x, A_REVERSE | A_BOLD, when);
}

/* A bar of part in whole, and text behind it. limited: the more, the worse. */
static void draw_bar(int y, const char *label, uint64_t part, uint64_t whole, bool limited,
                     const char *text)
{
    int width = COLS / 3;
    double share = whole ? (double)part / (double)whole : 0;
    int filled = (int)(share * width + 0.5);
    filled = filled > width ? width : filled;
    enum pair pair = !limited || share < 0.6 ? PAIR_GOOD : share < 0.85 ? PAIR_WARN : PAIR_BAD;
    put(y, 1, color(PAIR_TITLE), label);
    put(y, LABEL_COLUMNS, A_BOLD, "[");
    for (int i = 0; i < width; i++)
        put(y, LABEL_COLUMNS + 1 + i, i < filled ? color(pair) : A_DIM,
            i >= filled ? (has_utf8 ? "\xc2\xb7" : ".")
            : has_utf8  ? "\xe2\x96\xa0"
                        : "|");
    put(y, LABEL_COLUMNS + 1 + width, A_BOLD, "]");
    put(y, LABEL_COLUMNS + 3 + width, A_NORMAL, text);
}

static void draw_memory(int y, int nlines, const struct ga_top_sample *now)
{
    char size[2][GA_UNITS_BYTES];
    char share[GA_UNITS_BYTES];
    char text[TEXT_BYTES];
    ga_units_size(now->alloc_bytes, size[0]);
    ga_units_share(now->alloc_bytes, now->inuse_bytes, share);
    snprintf(text, sizeof(text), "%s, %s of it, %" PRIu64 " objects", size[0], share, now->objects);
    draw_bar(y + nlines - 1, "live", now->alloc_bytes, now->inuse_bytes, false, text);
    if (nlines < 3)
        return;
    ga_units_size(now->committed_bytes, size[0]);
    ga_units_size(now->limit_bytes, size[1]);
    snprintf(text, sizeof(text), "%s of %s", size[0], size[1]);
    draw_bar(y, "heap", now->committed_bytes, now->limit_bytes, true, text);
    ga_units_size(now->inuse_bytes, size[0]);
    ga_units_share(now->inuse_bytes, now->committed_bytes, share);
    snprintf(text, sizeof(text), "%s, %s of it in spans", size[0], share);
    draw_bar(y + 1, "spans", now->inuse_bytes, now->committed_bytes, false, text);
}

/* The last width rates, as high as the highest of them. */
static void draw_history(int y, int x, const struct ga_top_state *state)
{
    static const char *const marks[2][8] = {{"_", "_", ".", ".", "-", "-", "=", "#"},
                                            {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                             "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                             "\xe2\x96\x87", "\xe2\x96\x88"}};
    int width = COLS - x - 1 < (int)GA_TOP_HISTORY ? COLS - x - 1 : (int)GA_TOP_HISTORY;
    double most = 1;
    for (unsigned i = 0; i < GA_TOP_HISTORY; i++)
        most = state->history[i] > most ? state->history[i] : most;
    for (int i = 0; i < width; i++) {
        double rate = state->history[(int)GA_TOP_HISTORY - width + i];
        int level = (int)(rate / most * 7.99);
        put(y, x + i, color(PAIR_GOOD), marks[has_utf8][level]);
    }
}

static int put_rate(int y, int x, const char *label, double rate)
{
    char text[TEXT_BYTES];
    char number[GA_TOP_CELL_BYTES];
    ga_top_rate_text(rate, number);
    snprintf(text, sizeof(text), "%s %s/s  ", label, number);
    put(y, x, A_NORMAL, text);
    return x + (int)strlen(text);
}

static void draw_rates(int y, const struct ga_top_state *state, const struct ga_top_rates *rates)
{
    put(y, 1, color(PAIR_TITLE), "rates");
    int x = put_rate(y, LABEL_COLUMNS, "malloc", rates->mallocs);
    x = put_rate(y, x, "free", rates->frees);
    x = put_rate(y, x, "lease", rates->lease_requests);
    x = put_rate(y, x, "spans", rates->lease_spans);
    if (COLS - x > 10)
        draw_history(y, x, state);
}

static void draw_server(int y, const struct ga_top_rates *rates)
{
    char time[4][GA_TOP_CELL_BYTES];
    char text[TEXT_BYTES];
    ga_top_time_text(rates->served_p50, time[0]);
    ga_top_time_text(rates->served_p99, time[1]);
    ga_top_time_text(rates->waited_p50, time[2]);
    ga_top_time_text(rates->waited_p99, time[3]);
    snprintf(text, sizeof(text), "cpu %.1f%%  lease p50/p99: %s/%s served, %s/%s waited for",
             rates->cpu_share * 100, time[0], time[1], time[2], time[3]);
    put(y, 1, color(PAIR_TITLE), "server");
    put(y, LABEL_COLUMNS, A_NORMAL, text);
}

/* ---- the table ---- */

/* Which columns fit: those of the lowest priorities, as many as go in. */
static void choose_columns(const struct ga_top_column *columns, size_t n,
                           bool ret_shown[static GA_TOP_COLUMNS_MAX])
{
    unsigned left = (unsigned)COLS;
    memset(ret_shown, 0, GA_TOP_COLUMNS_MAX * sizeof(*ret_shown));
    for (unsigned priority = 0; priority < GA_TOP_COLUMNS_MAX; priority++)
        for (size_t i = 0; i < n; i++)
            if (columns[i].priority == priority && columns[i].width + GAP <= left) {
                ret_shown[i] = true;
                left -= columns[i].width + GAP;
            }
}

static void put_cell(int y, int *x, const struct ga_top_column *column, attr_t attributes,
                     const char *text)
{
    char cell[TEXT_BYTES];
    ga_printable_pad(cell, sizeof(cell), text, column->width, column->is_left);
    put(y, *x, attributes, cell);
    *x += (int)column->width + GAP;
}

static void draw_titles(int y, const struct ga_top_state *state, const bool *shown)
{
    size_t n;
    const struct ga_top_column *columns = ga_top_columns(state->view, &n);
    int x = 0;
    attrset((int)color(PAIR_KEY));
    mvhline(y, 0, ' ', COLS);
    for (size_t i = 0; i < n; i++) {
        char title[TEXT_BYTES];
        bool sorted = state->column[state->view] == i;
        snprintf(title, sizeof(title), "%s%s",
                 sorted ? (state->downwards[state->view] ? "-" : "+") : "", columns[i].title);
        if (shown[i])
            put_cell(y, &x, &columns[i], color(PAIR_KEY) | (sorted ? A_BOLD : A_NORMAL), title);
    }
}

static int draw_table(int y, int nlines, struct ga_top_state *state,
                      const struct ga_top_sample *before, const struct ga_top_sample *now)
{
    size_t ncolumns;
    const struct ga_top_column *columns = ga_top_columns(state->view, &ncolumns);
    bool shown[GA_TOP_COLUMNS_MAX];
    struct ga_top_row *rows = NULL;
    size_t nrows = 0;
    int r = ga_top_make_rows(state->view, before, now, state->filter, state->column[state->view],
                             state->downwards[state->view], &rows, &nrows);
    if (r < 0)
        return r;
    size_t most = nrows > (size_t)nlines - 1 ? nrows - ((size_t)nlines - 1) : 0;
    state->first = state->first > most ? most : state->first;
    choose_columns(columns, ncolumns, shown);
    draw_titles(y, state, shown);
    for (int line = 1; line < nlines && state->first + (size_t)line - 1 < nrows; line++) {
        const struct ga_top_row *row = &rows[state->first + (size_t)line - 1];
        int x = 0;
        for (size_t i = 0; i < ncolumns; i++)
            if (shown[i])
                put_cell(y + line, &x, &columns[i],
                         i == state->column[state->view] ? A_BOLD : A_NORMAL, row->cell[i]);
    }
    if (nrows == 0)
        put(y + 1, 1, A_DIM, state->filter[0] ? "nothing has that in it" : "there is nothing");
    free(rows);
    return 0;
}

static void draw_tabs(int y, const struct ga_top_state *state)
{
    static const char *const names[GA_TOP_VIEWS] = {" 1 Processes ", " 2 Classes ", " 3 Arenas "};
    int x = 0;
    for (int i = 0; i < GA_TOP_VIEWS; i++) {
        put(y, x, (int)state->view == i ? A_REVERSE | A_BOLD : A_NORMAL, names[i]);
        x += (int)strlen(names[i]) + 1;
    }
    char text[TEXT_BYTES];
    snprintf(text, sizeof(text), "filter: %s%s", state->filter, state->typing ? "_" : "");
    if (state->filter[0] || state->typing)
        put(y, x + 1, color(PAIR_WARN) | A_BOLD, text);
}

static void draw_keys(const struct ga_top_state *state)
{
    static const char *const keys[][2] = {{"q", "quit"},    {"h", "help"},    {"Tab", "view"},
                                          {"s", "sort"},    {"r", "reverse"}, {"/", "filter"},
                                          {"Spc", "pause"}, {"+-", "speed"}};
    int x = 0;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int width = (int)(strlen(keys[i][0]) + strlen(keys[i][1])) + 3;
        if (x + width > COLS)
            break;
        put(LINES - 1, x, A_BOLD, keys[i][0]);
        put(LINES - 1, x + (int)strlen(keys[i][0]) + 1, color(PAIR_KEY), keys[i][1]);
        x += width;
    }
    char speed[32];
    snprintf(speed, sizeof(speed), "every %.1f s", state->interval_ms / 1000.0);
    if (x + (int)strlen(speed) < COLS)
        put(LINES - 1, COLS - (int)strlen(speed) - 1, A_DIM, speed);
}

static void draw_help(void)
{
    static const char *const lines[] = {
        "goallocctl top: who uses the heap, and how",
        "",
        "1 2 3, Tab    processes, classes, arenas",
        "s < >         sort by another column",
        "r             the other way round",
        "/             show only what has a text in it",
        "arrows, Page  scroll",
        "Space         stand still, and go on",
        "+ -           look more often, or less",
        "q             quit",
        "",
        "SHARE: of what is in spans. WASTE: of the",
        "spans of a class, what no object takes.",
        "A lease is a request for spans: how long",
        "the server takes, and clients wait, for it.",
    };
    for (int i = 0; i < (int)(sizeof(lines) / sizeof(lines[0])) && i < LINES - 1; i++)
        put(i, 1, i == 0 ? A_BOLD : A_NORMAL, lines[i]);
    put(LINES - 1, 1, A_DIM, "any key goes back");
}

static int draw_all(struct ga_top_state *state, const struct ga_top_sample *before,
                    const struct ga_top_sample *now)
{
    struct ga_top_rates rates;
    ga_top_get_rates(before, now, &rates);
    int nmemory = LINES >= 16 ? 3 : 1;
    int y = 1;
    draw_title(state, now);
    draw_memory(y, nmemory, now);
    y += nmemory;
    draw_rates(y++, state, &rates);
    if (LINES >= 14)
        draw_server(y++, &rates);
    if (LINES >= 20)
        y++;
    draw_tabs(y++, state);
    draw_keys(state);
    return draw_table(y, LINES - 1 - y, state, before, now);
}

int ga_top_screen_draw(struct ga_top_state *state, const struct ga_top_sample *before,
                       const struct ga_top_sample *now)
{
    int r = 0;
    erase();
    if (LINES < GA_TOP_MIN_LINES || COLS < GA_TOP_MIN_COLUMNS) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "too small: %dx%d, needs %dx%d", COLS, LINES,
                 GA_TOP_MIN_COLUMNS, GA_TOP_MIN_LINES);
        put(0, 0, A_NORMAL, text);
    } else if (state->help) {
        draw_help();
    } else {
        r = draw_all(state, before, now);
    }
    refresh();
    return r;
}
