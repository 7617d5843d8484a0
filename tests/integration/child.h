/* A program that goes on while the test does, and what it prints meanwhile. */
#ifndef GA_TESTS_CHILD_H
#define GA_TESTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define GA_CHILD_TEXT_BYTES (1u << 20)

struct ga_child {
    pid_t pid;
    int out; /* the read end of its stdout, and of its stderr */
    char *text;
    size_t text_bytes;
};

/* Start the program at path with arguments (a list ending in NULL, without the program's name).
 * False if it cannot be. */
bool ga_child_start(struct ga_child *child, const char *path, const char *const *arguments);
/* Wait, for a long time at most, until it has printed needle, after what was seen so far if behind
 * is not NULL: *behind is moved on. */
bool ga_child_says(struct ga_child *child, const char *needle, size_t *behind);
/* Whether it has printed needle so far. */
bool ga_child_has_said(struct ga_child *child, const char *needle);
/* Send the signal (0: none), wait for the end (one that does not end is killed) and return the exit
 * code, or 256 + the signal that killed it. All that it printed is in text, until the next start.
 */
int ga_child_end(struct ga_child *child, int signal_number);

#endif
