/* How long to wait for somebody who shows now and then that it goes on: as long as it does. */
#ifndef GA_CLIENT_PATIENCE_H
#define GA_CLIENT_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define GA_PATIENCE_MS 5000u /* without a beat */

/* All zero: nothing was seen as yet. */
struct ga_patience {
    uint64_t beat;     /* as it was seen last */
    uint64_t until_ms; /* 0 = not seen */
};

/* Look at the beat, which is another than last time if somebody lives, at now_ms of a clock that
 * nobody sets. Whether to wait on. */
static inline bool ga_patience_lasts(struct ga_patience *patience, uint64_t beat, uint64_t now_ms)
{
    if (patience->until_ms == 0 || beat != patience->beat) {
        patience->beat = beat;
        patience->until_ms = now_ms + GA_PATIENCE_MS;
    }
    return now_ms < patience->until_ms;
}

#endif
