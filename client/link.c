#include "client/link.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t ga_link_look(const struct ga_link *link)
{
    /* Pairs with the release in ga_link_set: who sees it up may use what was made before. */
    return atomic_load_explicit(&link->word, memory_order_acquire);
}

void ga_link_set(struct ga_link *link, enum ga_link_state state)
{
    uint32_t word = atomic_load_explicit(&link->word, memory_order_relaxed);
    /* Release: pairs with the acquire in ga_link_look. */
    do
        if (ga_link_state_of(word) == GA_LINK_OVER)
            return;
    while (!atomic_compare_exchange_weak_explicit(&link->word, &word, (word / 4 + 1) * 4 + state,
                                                  memory_order_release, memory_order_relaxed));
    syscall(SYS_futex, &link->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

int ga_link_wait(struct ga_link *link, uint32_t seen, const struct timespec *deadline)
{
    while (ga_link_look(link) == seen)
        /* FUTEX_WAIT_BITSET is the variant whose timeout is a moment of CLOCK_MONOTONIC. */
        if (syscall(SYS_futex, &link->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, deadline,
                    NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
            errno == ETIMEDOUT)
            return -ETIMEDOUT;
    return 0;
}

void ga_link_begin_waiting(struct ga_link *link)
{
    atomic_fetch_add_explicit(&link->nwaiting, 1, memory_order_relaxed);
    atomic_store_explicit(&link->wanted, true, memory_order_relaxed);
}

void ga_link_end_waiting(struct ga_link *link)
{
    atomic_fetch_sub_explicit(&link->nwaiting, 1, memory_order_relaxed);
}

bool ga_link_take_wanted(struct ga_link *link)
{
    return atomic_exchange_explicit(&link->wanted, false, memory_order_relaxed);
}

bool ga_link_is_waited_for(const struct ga_link *link)
{
    return atomic_load_explicit(&link->nwaiting, memory_order_relaxed) > 0;
}
