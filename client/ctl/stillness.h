/* Whether clients that have paused keep to it, as far as what they write of their own tells: each
 * allocation and free changes a word of its thread's mcache. A check sum of each mcache, and of
 * each client's slots, is taken before the heap is copied and compared afterwards. Stores to
 * objects leave no trace. */
#ifndef GA_CTL_STILLNESS_H
#define GA_CTL_STILLNESS_H

#include <stdint.h>

#include "client/ctl/quiet.h"

struct ga_stillness {
    uint64_t *sums; /* of the mcaches, then of the clients' slots */
    uint32_t nmcaches;
    uint32_t nclients;
};

/* Sum up a heap that should be quiet. Returns 0, and *ret for ga_stillness_fini; or a negative
 * errno after the reason has been told on stderr. */
int ga_stillness_take(const struct ga_quiet *quiet, struct ga_stillness *ret);

/* Sum up once more. Returns 0 where nothing has changed since before; -ECANCELED after stderr was
 * told which clients have broken their word; or another negative errno, as above. */
int ga_stillness_check(const struct ga_quiet *quiet, const struct ga_stillness *before);

void ga_stillness_fini(struct ga_stillness *stillness);

#endif
