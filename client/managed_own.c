/* The library's own threads, which are neither stopped nor scanned, and where stacks lie. */
#include "client/managed_stop_internal.h"

#include <stdatomic.h>

#define PLACES 64 /* of the library's own threads: one for each connection */

/* A thread of the library's own. */
struct place {
    _Atomic bool taken;
    _Atomic pid_t tid; /* 0 = not known as yet */
    _Atomic uintptr_t stack_start;
    _Atomic uintptr_t stack_end; /* 0 = likewise */
};
static struct place places[PLACES];

struct ga_stop_range ga_stop_stack_of(pthread_t thread)
{
    struct ga_stop_range range = {0, 0};
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(thread, &attributes) != 0)
        return range;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0)
        range = (struct ga_stop_range){(uintptr_t)low, (uintptr_t)low + bytes};
    pthread_attr_destroy(&attributes);
    return range;
}

int ga_stop_reserve_place(void)
{
    for (int i = 0; i < PLACES; i++)
        if (!atomic_exchange(&places[i].taken, true))
            return i;
    return -1;
}

void ga_stop_set_thread(int place, pid_t tid)
{
    if (place >= 0)
        ga_store_release(&places[place].tid, tid);
}

void ga_stop_set_stack(int place, pthread_t thread)
{
    if (place < 0)
        return;
    struct ga_stop_range range = ga_stop_stack_of(thread);
    ga_store_relaxed(&places[place].stack_start, range.start);
    ga_store_release(&places[place].stack_end, range.end);
}

void ga_stop_free_place(int place)
{
    if (place < 0)
        return;
    ga_store_relaxed(&places[place].tid, 0);
    ga_store_relaxed(&places[place].stack_end, 0);
    ga_store_release(&places[place].taken, false);
}

bool ga_stop_is_excepted(pid_t tid)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (ga_load_acquire(&places[i].tid) == tid)
            return true;
    return false;
}

bool ga_stop_next_except(size_t *index, struct ga_stop_range *ret)
{
    for (; *index < PLACES; ++*index) {
        const struct place *place = &places[*index];
        uintptr_t end = ga_load_acquire(&place->stack_end);
        if (end == 0)
            continue;
        *ret = (struct ga_stop_range){ga_load_relaxed(&place->stack_start), end};
        ++*index;
        return true;
    }
    if (*index > PLACES)
        return false;
    ++*index;
    *ret = (struct ga_stop_range){(uintptr_t)ga_stop_table,
                                  (uintptr_t)ga_stop_table + sizeof(*ga_stop_table)};
    return true;
}

void ga_stop_own_in_child(void)
{
    for (int i = 0; i < PLACES; i++)
        ga_stop_free_place(i);
}
