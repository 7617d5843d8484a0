#include "support/siege_options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t number(const char *test, const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "%s: '%s' is no number from %u to %u\n", test, text, least, most);
        exit(2);
    }
    return (uint32_t)value;
}

void ga_siege_read_options(const char *test, const char *usage,
                           const struct ga_siege_option *options, size_t noptions, int argc,
                           char **argv)
{
    struct option known[GA_SIEGE_OPTIONS_MAX + 2] = {0};
    assert(noptions <= GA_SIEGE_OPTIONS_MAX);
    for (size_t i = 0; i < noptions; i++)
        known[i] = (struct option){options[i].name, required_argument, NULL, (int)i};
    known[noptions] = (struct option){"help", no_argument, NULL, (int)noptions};
    int i;
    while ((i = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (i == (int)noptions || i == '?') {
            fputs(usage, i == '?' ? stderr : stdout);
            exit(i == '?' ? 2 : 0);
        }
        const struct ga_siege_option *option = &options[i];
        if (option->ret)
            *option->ret = number(test, optarg, option->least, option->most);
        else
            option->read(optarg, option->data);
    }
    if (optind < argc) {
        fprintf(stderr, "%s: '%s' is not known here\n", test, argv[optind]);
        exit(2);
    }
}
