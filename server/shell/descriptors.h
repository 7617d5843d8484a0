/* How many file descriptors the server may have: each client costs two, its connection and its
 * pidfd. */
#ifndef GA_SERVER_SHELL_DESCRIPTORS_H
#define GA_SERVER_SHELL_DESCRIPTORS_H

#include <stdint.h>

/* Raise the limit as far as the process may, and see that a server can work within it. 0; or a
 * negative errno, and the log says why. */
int ga_descriptors_prepare(void);

/* How many there may be. */
uint64_t ga_descriptors_count(void);

#endif
