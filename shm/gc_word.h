/* The word by which a client of a managed heap and the server agree on a collection (one a client,
 * in bits): whether the client's threads stand still, and for which cycle. Each step is a compare
 * and swap, so that only one of the two decides:
 *
 *   RUNNING -> STOPPED(cycle)              the client: its threads stand still, and its roots
 * follow STOPPED(cycle) -> RUNNING              the client: it waits no longer, or the server is
 * gone STOPPED(cycle) -> SWEEPING(cycle)      the server: from now on garbage is freed, and the
 * client waits however long that takes either -> RUNNING                      the server: the cycle
 * is over, or abandoned SWEEPING(cycle) -> RUNNING             the client, once that server has
 * certainly ended
 *
 * So a client goes on before its garbage is freed only if none will be. A word that somebody has
 * spoilt stands for no cycle: the cycle is abandoned. The word is a futex, too: its low half, which
 * changes with each step of a cycle. */
#ifndef GA_SHM_GC_WORD_H
#define GA_SHM_GC_WORD_H

#include <stdint.h>

enum ga_gc_state {
    GA_GC_RUNNING = 0, /* of no cycle */
    GA_GC_STOPPED = 1,
    GA_GC_SWEEPING = 2,
};

static inline uint64_t ga_gc_word(enum ga_gc_state state, uint32_t cycle)
{
    return state == GA_GC_RUNNING ? 0 : (uint64_t)cycle << 2 | state;
}

/* Whether the word can be any of these. */
static inline int ga_gc_word_is_sound(uint64_t word)
{
    uint64_t state = word & 3;
    return state == GA_GC_RUNNING ? word == 0 : state != 3 && word >> 34 == 0;
}

#endif
