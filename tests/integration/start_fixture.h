/* Servers that start, or say why they do not. */
#ifndef GA_TESTS_START_FIXTURE_H
#define GA_TESTS_START_FIXTURE_H

#include <stdbool.h>

#include "integration/daemon.h"
#include "support/cunit_main.h"

/* Start with this option beside a heap and a socket of its own; value may be NULL, and option too.
 */
bool ga_start_beside(struct ga_daemon *daemon, const char *heap, const char *path,
                     const char *option, const char *value);

/* It must not start, exit with code, and say exactly "goallocd: error: SENTENCE". ready: what the
 * start has returned. */
void ga_expect_refusal(struct ga_daemon *daemon, bool ready, int code, const char *sentence);

/* Run the tests as ga_test_main does, clean up, and see that no object is left. */
int ga_start_main(const char *suite_name, const struct ga_test *tests, size_t count);

#endif
