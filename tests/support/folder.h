/* A test's temporary folder, for sockets and files. Its name begins as the test's janitor looks
 * for: goalloc-test-PID-. */
#ifndef GA_TESTS_FOLDER_H
#define GA_TESTS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* Long enough for any, and short enough for a socket's address in one. */
enum { GA_TEST_FOLDER_BYTES = 64 };

/* Where tests have their folders: $TMPDIR, or /tmp where that is not set or too long. */
const char *ga_test_folders(void);

/* Make one, and have a janitor for this process. False, with errno set, if that cannot be. */
bool ga_test_folder_make(char ret[GA_TEST_FOLDER_BYTES]);

/* Remove it with all that is in it. */
void ga_test_folder_remove(const char *folder);

#endif
