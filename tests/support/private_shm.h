/* A /dev/shm of the test's own: a small tmpfs in a mount namespace that only this process and its
 * children are in, and that goes with them. */
#ifndef GA_TESTS_PRIVATE_SHM_H
#define GA_TESTS_PRIVATE_SHM_H

/* Enter the namespace and mount a tmpfs of size (as mount has it, "64m"). Call it before there are
 * threads. Returns 0; or a negative errno and a line on stdout that says what is refused here. */
int ga_private_shm_enter(const char *size);

#endif
