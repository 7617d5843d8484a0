/* A goallocd of the test's own: its own heap name and socket, removed again however the test ends.
 */
#ifndef GA_TESTS_SERVER_FIXTURE_H
#define GA_TESTS_SERVER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/folder.h"

/* Address space of such a heap, bytes: little, so that many tests can run at once. */
#define GA_TEST_RESERVE (UINT64_C(4) << 30)

struct ga_test_server {
    pid_t pid;
    char heap_name[64];
    char folder[GA_TEST_FOLDER_BYTES]; /* of the socket; made for this test */
    char socket[108];
};

/* Start GOALLOCD_PATH with --limit limit and wait until it serves. Returns false, with a line on
 * stderr, if it does not. */
bool ga_test_server_start(const char *limit, struct ga_test_server *ret);

/* Kill the server, and: start the next of the same heap and socket. False if it does not serve,
 * with a line on stderr. */
void ga_test_server_kill(struct ga_test_server *server);
bool ga_test_server_start_again(struct ga_test_server *server, const char *limit);

/* Stop it in order and check that it leaves nothing: true if it ended with 0 and neither socket nor
 * shared memory is left. */
bool ga_test_server_stop(struct ga_test_server *server);

#endif
