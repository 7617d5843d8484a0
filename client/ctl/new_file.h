/* A file that takes the place of another in one step: written under a name of its own, and given
 * the right one when it is whole and on the disk. Killed at any time, the old file is there or the
 * new. One at a time, since it is removed when a signal ends the program. */
#ifndef GA_CTL_NEW_FILE_H
#define GA_CTL_NEW_FILE_H

#include <limits.h>

struct ga_new_file {
    const char *path;
    char temporary[PATH_MAX]; /* path, ".tmp-" and our pid */
    int fd;
};

/* Make the temporary file, which only this user may read, for path, which must outlive it. SIGINT,
 * SIGTERM and SIGHUP remove it from now on, and end the program. Returns 0; or a negative errno
 * after the reason has been told on stderr. */
int ga_new_file_open(const char *path, struct ga_new_file *ret);

/* Have what is written on the disk. Returns 0 or a negative errno. */
int ga_new_file_flush(const struct ga_new_file *file);

/* Name it path, and have that on the disk; what it holds was flushed. Returns 0; or a negative
 * errno after the reason has been told on stderr, and the temporary file is gone. */
int ga_new_file_commit(struct ga_new_file *file);

/* Remove the temporary file; nothing where it was committed or never opened. */
void ga_new_file_abandon(struct ga_new_file *file);

#endif
