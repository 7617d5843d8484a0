/* A program run to its end, what it printed kept. */
#ifndef GA_TESTS_RUN_H
#define GA_TESTS_RUN_H

#include <stdbool.h>

struct ga_run {
    char *out;
    char *err;
    int code; /* exit code, or 256 + the signal */
};

/* Run the program at path with arguments (a list ending in NULL, without the program's name).
 * Frees what run held before; begin with zeros. False if it cannot be started. */
bool ga_run(struct ga_run *run, const char *path, const char *const *arguments);
void ga_run_fini(struct ga_run *run);

#endif
