/* The numbers 0, 1 and 2 are never free: what is opened gets the lowest free number, and whoever
 * prints a line would write it into a shared memory object or to a client. */
#ifndef GA_SERVER_SHELL_STANDARD_FDS_H
#define GA_SERVER_SHELL_STANDARD_FDS_H

/* Open /dev/null at those of 0..2 that are closed. To be called before anything is opened. 0 or a
 * negative errno. */
int ga_standard_fds_fill(void);

/* Close fd; one of 0..2 becomes /dev/null instead. */
void ga_standard_fds_close(int fd);

#endif
