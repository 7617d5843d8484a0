/* For programs that run with libgoalloc-malloc preloaded, and know nothing of it. */
#ifndef GA_TEST_PRELOAD_CHECK_H
#define GA_TEST_PRELOAD_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* Unlike assert, in a child too it ends the program with a sentence, and no core. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _Exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#endif
