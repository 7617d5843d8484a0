/* Colour on a terminal: --color says when; with auto, where the output is a terminal that is not
 * "dumb", unless $NO_COLOR is set and not empty. */
#ifndef GA_CTL_COLOR_H
#define GA_CTL_COLOR_H

#include <stdio.h>

enum ga_color_when {
    GA_COLOR_AUTO = 0,
    GA_COLOR_ALWAYS,
    GA_COLOR_NEVER,
};

enum ga_color {
    GA_COLOR_NONE,  /* the end of any other */
    GA_COLOR_TITLE, /* headings */
    GA_COLOR_BAD,   /* what is wrong: faults, losses */
    GA_COLOR_GOOD,
    GA_COLOR_FAINT, /* what need not be read */
};

/* What --color says, for the whole program. */
void ga_color_set(enum ga_color_when when);

/* The escape sequence that begins color on out; "" where there are no colours. */
const char *ga_color(FILE *out, enum ga_color color);

#endif
