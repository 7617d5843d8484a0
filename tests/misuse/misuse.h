/* One misuse a program: a server and an attached heap are there, the program does one thing wrong,
 * and says to the letter what it must have been told. A program is nothing but ga_misuse. */
#ifndef GA_TESTS_MISUSE_H
#define GA_TESTS_MISUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "goalloc/goalloc.h"
#include "support/server_fixture.h"

struct ga_misuse {
    struct ga_test_server server;
    struct goalloc_heap *heap; /* NULL if the program has detached it */
    uintptr_t base;            /* of the heap's 64 GiB */
    bool server_stopped;       /* set by a program that has stopped it */
    bool failed;
};

/* The misuse. What it writes to stderr is kept, and must be what it says it expects. */
void ga_misuse(struct ga_misuse *m);

/* A line that must be on stderr, after those expected before it and with nothing in between. */
void ga_misuse_expect(struct ga_misuse *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For functions that tell by what they return: write that as a line to stderr. */
void ga_misuse_tell(const char *text);

/* What must be true besides; clause names it if it is not. */
void ga_misuse_require(struct ga_misuse *m, bool holds, const char *clause);

#define GA_REQUIRE(m, clause) ga_misuse_require((m), (clause), #clause)

#endif
