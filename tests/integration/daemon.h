/* goallocd as a child with any options, its log kept: for tests of how it starts, refuses and ends.
 * Everything lies in a folder of the test's own. */
#ifndef GA_TESTS_DAEMON_H
#define GA_TESTS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GA_DAEMON_LOG_BYTES 65536

struct ga_daemon {
    pid_t pid;
    int log;   /* read end of its stdout and stderr */
    int ready; /* read end of what it tells that it is ready */
    char text[GA_DAEMON_LOG_BYTES];
    size_t text_bytes;
};

/* The test's folder (made at the first call), removed with ga_daemon_clean_up. */
const char *ga_daemon_folder(void);
/* A path in it; static memory of a few calls. */
const char *ga_daemon_path(const char *file);
/* A heap name of this process's own, ending in suffix; static memory of a few calls. */
const char *ga_daemon_heap(const char *suffix);

struct ga_daemon_setup {
    uid_t uid;            /* whom it is to run as, 0 = as we are */
    bool keep;            /* without --ephemeral */
    bool closed_stdio;    /* 0, 1 and 2 are closed, so that there is no log */
    unsigned descriptors; /* how many it may have, 0 = as many as we */
    bool journal;         /* told that its stderr is the journal's */
    int ready_fd;         /* the number, 1 to 9, that it is given for --ready-fd; 0 = 9 */
};

/* Start goallocd with arguments (a list ending in NULL) and --ready-fd, and do not wait. */
bool ga_daemon_launch(struct ga_daemon *daemon, const struct ga_daemon_setup *setup,
                      const char *const *arguments);
/* Wait until it is ready, or has ended, or a long time has passed; whether it is ready. */
bool ga_daemon_wait(struct ga_daemon *daemon);
/* Both, as uid. */
bool ga_daemon_start(struct ga_daemon *daemon, uid_t uid, const char *const *arguments);

/* Send the signal (0: none), wait for the end (one that does not end is killed) and return the exit
 * code, or 256 + the signal that killed it; -1 if it was never started. Its whole log is then in
 * text. */
int ga_daemon_end(struct ga_daemon *daemon, int signal_number);

/* Whether the log so far holds needle. */
bool ga_daemon_said(struct ga_daemon *daemon, const char *needle);

/* Open an object ("meta", "bits", "heap") of a heap; -1 where there is none. flags may have
 * O_CREAT: then it is made. */
int ga_daemon_open_object(const char *heap, const char *suffix, int flags);
/* Whether any object of the heap is left in shared memory. */
bool ga_daemon_left_objects(const char *heap);

/* Remove the folder and every object of heaps named by ga_daemon_heap. Returns how many objects
 * there were. */
int ga_daemon_clean_up(void);

#endif
