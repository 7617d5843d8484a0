/* The screen of goallocctl top: what is shown is reckoned in top_figures.c, what is typed is read
 * in top.c. ncurses, one terminal. */
#ifndef GA_CTL_TOP_SCREEN_H
#define GA_CTL_TOP_SCREEN_H

#include <stdbool.h>

#include "client/ctl/top_figures.h"

#define GA_TOP_MIN_COLUMNS  40
#define GA_TOP_MIN_LINES    10
#define GA_TOP_FILTER_BYTES 32u
#define GA_TOP_HISTORY      60u

/* What the user has chosen, and what was before. */
struct ga_top_state {
    enum ga_top_view view;
    size_t column[GA_TOP_VIEWS];
    bool downwards[GA_TOP_VIEWS];
    size_t first; /* the row on top */
    char filter[GA_TOP_FILTER_BYTES];
    bool typing; /* the filter */
    bool help;
    bool paused;
    bool lost; /* there is no server just now */
    unsigned interval_ms;
    double history[GA_TOP_HISTORY]; /* mallocs and frees in a second, the last one last */
};

/* Take the terminal over; colors: whether it may have any. 0; -ENOTTY where it is none that ncurses
 * knows; -ERANGE where it is too small, and then it is as before. */
int ga_top_screen_begin(bool colors);
/* Give it back. */
void ga_top_screen_end(void);

/* Draw all. before may be NULL. state->first is put in its bounds. 0 or -ENOMEM. */
int ga_top_screen_draw(struct ga_top_state *state, const struct ga_top_sample *before,
                       const struct ga_top_sample *now);

#endif
