/* A huge page is there whole when a byte of it is used, so a heap has up to one of them too much:
 * it must be large for that to be little. It grows upwards and is used from below, so it does not
 * have more.
 *
 * What is given back must not come again by itself: the kernel makes huge pages also of those that
 * are there in part (khugepaged). So where memory was given back there are to be no more of them;
 * what the heap grows by later has them again. */
#include "huge_pages.h"

#include <sys/mman.h>

#include "shm/layout.h"

#define HUGE_FROM (UINT64_C(16) << 20)

static_assert(HUGE_FROM < GA_ARENA_SIZE, "the smallest reservation has some behind it");

static uint64_t used_bytes;
static uint64_t advised_from; /* 0: nowhere as yet */

void ga_huge_pages_grown(const struct ga_reservation *reservation, uint64_t bytes)
{
    if (bytes > used_bytes)
        used_bytes = bytes;
    if (advised_from != 0 || bytes <= HUGE_FROM)
        return;
    advised_from = HUGE_FROM;
    (void)madvise(reservation->heap + HUGE_FROM, reservation->heap_bytes - HUGE_FROM,
                  MADV_HUGEPAGE); /* where there are none, nothing is lost */
}

void ga_huge_pages_given_back(const struct ga_reservation *reservation)
{
    if (advised_from == 0 || advised_from >= used_bytes)
        return;
    (void)madvise(reservation->heap + advised_from, used_bytes - advised_from, MADV_NOHUGEPAGE);
    advised_from = used_bytes;
}
