/* Numbers as people read them: sizes, durations, shares. Each function writes a short text into
 * the caller's buffer, never longer than GA_UNITS_BYTES with its zero. Pure and thread-safe. */
#ifndef GA_CTL_UNITS_H
#define GA_CTL_UNITS_H

#include <stdint.h>

#define GA_UNITS_BYTES 32

/* A size: "0 B", "1023 B", "1.5 MiB", "64 GiB", "417 KiB". Rounded to one decimal below 100, to
 * none above; whole numbers have none. */
void ga_units_size(uint64_t bytes, char ret_text[static GA_UNITS_BYTES]);

/* How long: "0.4 s", "12 s", "3m 07s", "2h 05m", "3d 04h". Rounded down. */
void ga_units_duration(uint64_t ms, char ret_text[static GA_UNITS_BYTES]);

/* part of whole as "12.3%"; "<0.1%" for what would round to nothing, "-" where whole is 0. */
void ga_units_share(uint64_t part, uint64_t whole, char ret_text[static GA_UNITS_BYTES]);

#endif
