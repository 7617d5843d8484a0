/* The main of a unit test: a table of tests, run by CUnit. */
#ifndef GA_TESTS_CUNIT_MAIN_H
#define GA_TESTS_CUNIT_MAIN_H

#include <stddef.h>
#include <stdint.h>

#include <CUnit/CUnit.h>

struct ga_test {
    const char *name;
    void (*run)(void);
};

/* Run the tests as one suite and print the result. Returns the exit code. */
int ga_test_main(const char *suite, const struct ga_test *tests, size_t count);

/* The seed of this run: $GOALLOC_SEED, else a new one; it is printed, so that a run can be
 * repeated. */
uint64_t ga_test_seed(void);

/* The next number of a generator (splitmix64) whose state the caller keeps. */
uint64_t ga_test_random(uint64_t *state);

#endif
