/* The command line of a siege's driver: options that are numbers, most of them. */
#ifndef GA_TESTS_SIEGE_OPTIONS_H
#define GA_TESTS_SIEGE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct ga_siege_option {
    const char *name; /* without the dashes */
    uint32_t least;
    uint32_t most;
    uint32_t *ret; /* untouched if it is not given; NULL = it is no number, but for: */
    void (*read)(const char *text, void *data); /* ends the test with 2 if text is wrong */
    void *data;
};

enum { GA_SIEGE_OPTIONS_MAX = 16 };

/* Read it. With --help, usage is printed, and the test ends with 0; with what is not known, or no
 * number from least to most, it says so and ends with 2. */
void ga_siege_read_options(const char *test, const char *usage,
                           const struct ga_siege_option *options, size_t noptions, int argc,
                           char **argv);

#endif
