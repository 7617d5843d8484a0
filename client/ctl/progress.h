/* A bar on stderr for what takes long. Nothing is shown where stderr is no terminal. */
#ifndef GA_CTL_PROGRESS_H
#define GA_CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct ga_progress {
    bool shown;
    uint64_t total_bytes;
    uint64_t begun_ms;
    uint64_t drawn_ms; /* when it was drawn last, 0 = never */
};

/* wanted: as far as the user has not forbidden it. */
void ga_progress_begin(struct ga_progress *progress, bool wanted, uint64_t total_bytes);
/* So much is done; draws ten times a second at most. */
void ga_progress_show(struct ga_progress *progress, uint64_t done_bytes);
/* In its place, what is left to be done when all bytes are. */
void ga_progress_say(struct ga_progress *progress, const char *what);
/* Take the bar away, or what was said in its place. */
void ga_progress_end(struct ga_progress *progress);

#endif
