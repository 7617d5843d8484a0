/* Pauses: every thread of every client stands still, and the driver compares the heap with the
 * shadow. */
#ifndef GA_TESTS_MUTATION_PAUSES_H
#define GA_TESTS_MUTATION_PAUSES_H

#include <stdint.h>

struct pauses {
    uint64_t nkept;      /* objects that had to be there, in all pauses */
    uint64_t ncollected; /* what collections in pauses freed */
    uint64_t nfreed;     /* what the driver did */
    uint64_t nlucky;     /* words that kept garbage, in all pauses */
    uint64_t nlucky_most;
    uint64_t nleft; /* objects that they kept, in all pauses */
};

/* One pause, from beginning to end. Fails the test at the first fault. */
void pauses_take(struct pauses *pauses);

#endif
