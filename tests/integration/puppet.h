/* A client in a process of its own, which does what single letters tell it: one call each, and an
 * answer when it has returned. */
#ifndef GA_TESTS_PUPPET_H
#define GA_TESTS_PUPPET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ga_puppet {
    pid_t pid;
    int orders;
    int answers;
};

/* How long it waits for a server: shorter than a test may let it wait for the end of a snapshot. */
#define GA_PUPPET_TIMEOUT_MS 1000u

/* Start one that attaches to path under a policy; its root will be called name. False where it
 * cannot attach. */
bool ga_puppet_begin(const char *path, uint32_t policy, const char *name, struct ga_puppet *ret);

/* Tell it:
 *   f  fill its hands: objects of all kinds, some freed, leased ahead, in a slot, held, published
 *   p  goalloc_pause                   r  goalloc_resume
 *   w  wait until a pause is wanted    n  see that none is
 *   m  allocate and free               l  look its root up, and read it
 *   s  ask the server for what changes the heap, and see that it is refused
 *   c  have a child of fork allocate
 *   t  start threads that allocate and free, and stay         j  let them exit
 *   a  pause and resume whenever it is wanted, until it has the next order
 *   d  goalloc_detach */
void ga_puppet_tell(const struct ga_puppet *puppet, char order);
/* Wait for the answer: whether all was as it should be. */
bool ga_puppet_answers(const struct ga_puppet *puppet);
/* Both. */
bool ga_puppet_does(const struct ga_puppet *puppet, char order);

/* With a signal, or 0: let it end by itself, without a detach. */
void ga_puppet_end(struct ga_puppet *puppet, int signal_number);

#endif
