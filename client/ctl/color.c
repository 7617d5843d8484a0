#include "client/ctl/color.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum ga_color_when chosen = GA_COLOR_AUTO;

void ga_color_set(enum ga_color_when when)
{
    chosen = when;
}

static bool is_wanted(FILE *out)
{
    if (chosen != GA_COLOR_AUTO)
        return chosen == GA_COLOR_ALWAYS;
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fileno(out)) && !(no_color && no_color[0]) && terminal && terminal[0] &&
           strcmp(terminal, "dumb") != 0;
}

const char *ga_color(FILE *out, enum ga_color color)
{
    static const char *const sequences[] = {
        [GA_COLOR_NONE] = "\x1b[0m",  [GA_COLOR_TITLE] = "\x1b[1m", [GA_COLOR_BAD] = "\x1b[31m",
        [GA_COLOR_GOOD] = "\x1b[32m", [GA_COLOR_FAINT] = "\x1b[2m",
    };
    return is_wanted(out) ? sequences[color] : "";
}
