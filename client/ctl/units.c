/* Sizes, durations and shares in integer arithmetic, so that what is shown does not depend on how
 * floating point rounds. Sizes are kept in tenths of the unit: rounding may carry into the next
 * unit (1023.96 KiB is 1 MiB), which is why the unit is chosen after it. */
#include "client/ctl/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

void ga_units_size(uint64_t bytes, char ret_text[static GA_UNITS_BYTES])
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 " B", bytes);
        return;
    }
    unsigned unit = 0;
    uint64_t whole = bytes;
    uint64_t tenths = 0;
    do {
        unit++;
        uint64_t one = UINT64_C(1) << (10 * unit);
        uint64_t rest = bytes % one;
        whole = bytes / one;
        if (whole >= 100) {
            whole += rest >= one / 2;
            tenths = 0;
            continue;
        }
        /* The rest has up to 60 bits: ten times as much still fits. */
        tenths = (rest * 10 + one / 2) / one;
        if (tenths == 10) {
            whole++;
            tenths = 0;
        }
    } while (whole >= 1024);

    if (tenths == 0)
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 " %s", whole, names[unit]);
    else
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths,
                 names[unit]);
}

void ga_units_duration(uint64_t ms, char ret_text[static GA_UNITS_BYTES])
{
    uint64_t seconds = ms / 1000;
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    if (seconds < 10)
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 ".%" PRIu64 " s", seconds, ms % 1000 / 100);
    else if (minutes == 0)
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 " s", seconds);
    else if (hours == 0)
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 "m %02" PRIu64 "s", minutes, seconds % 60);
    else if (hours < 24)
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 "h %02" PRIu64 "m", hours, minutes % 60);
    else
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 "d %02" PRIu64 "h", hours / 24, hours % 24);
}

void ga_units_share(uint64_t part, uint64_t whole, char ret_text[static GA_UNITS_BYTES])
{
    if (whole == 0) {
        snprintf(ret_text, GA_UNITS_BYTES, "-");
        return;
    }
    const bool is_some = part != 0;
    /* Both are made smaller together until 1000 times the part fits. */
    while (part > UINT64_MAX / 1001 || whole > UINT64_MAX / 1001) {
        part /= 2;
        whole /= 2;
    }
    uint64_t tenths = (part * 1000 + whole / 2) / whole;
    if (tenths == 0 && is_some)
        snprintf(ret_text, GA_UNITS_BYTES, "<0.1%%");
    else
        snprintf(ret_text, GA_UNITS_BYTES, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
}
