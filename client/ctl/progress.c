/* One line, drawn over itself; short enough for 80 columns. */
#include "client/ctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/ctl/units.h"

#define BAR_COLUMNS 30u
#define DRAW_MS     100u

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void ga_progress_begin(struct ga_progress *progress, bool wanted, uint64_t total_bytes)
{
    *progress = (struct ga_progress){
        .shown = wanted && isatty(STDERR_FILENO), .total_bytes = total_bytes, .begun_ms = now_ms()};
}

void ga_progress_show(struct ga_progress *progress, uint64_t done_bytes)
{
    uint64_t now = now_ms();
    if (!progress->shown || (progress->drawn_ms != 0 && now - progress->drawn_ms < DRAW_MS))
        return;
    progress->drawn_ms = now;
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    uint64_t total = progress->total_bytes ? progress->total_bytes : 1;
    unsigned columns = (unsigned)(BAR_COLUMNS * (double)done_bytes / (double)total);
    columns = columns < BAR_COLUMNS ? columns : BAR_COLUMNS;
    uint64_t elapsed_ms = now - progress->begun_ms + 1;
    char done[GA_UNITS_BYTES];
    char all[GA_UNITS_BYTES];
    char speed[GA_UNITS_BYTES];
    ga_units_size(done_bytes, done);
    ga_units_size(total, all);
    ga_units_size(done_bytes * 1000 / elapsed_ms, speed);
    fprintf(stderr, "\r\033[K[%.*s%.*s] %s of %s, %s/s", (int)columns, full,
            (int)(BAR_COLUMNS - columns), empty, done, all, speed);
}

void ga_progress_say(struct ga_progress *progress, const char *what)
{
    if (!progress->shown)
        return;
    progress->drawn_ms = now_ms();
    fprintf(stderr, "\r\033[K%s", what);
}

void ga_progress_end(struct ga_progress *progress)
{
    if (progress->shown && progress->drawn_ms != 0)
        fputs("\r\033[K", stderr);
    progress->drawn_ms = 0;
}
