/* The word by which a client of a managed heap and the server agree on a collection; one a client,
 * in bits. It says whether the client's threads stand still, and for which cycle: RUNNING, or
 * STOPPED with the cycle's number.
 *
 * The client stores STOPPED when its threads stand still, before it looks for its roots. From there
 * the word goes back to RUNNING by a compare and swap of whoever is first. That is the server, when
 * the marking is done or the cycle is abandoned: the client goes on. Or it is the client, when it
 * waits no longer: then the server finds that the word is not as it was, and abandons the cycle.
 * The server frees nothing before it has taken every word: so all have stood still from before they
 * were scanned until all was marked. What is garbage then nobody finds any more, and so they go on
 * before it is freed.
 *
 * A word that somebody has spoilt stands for no cycle: the cycle is abandoned. The word is a futex,
 * too: its low half, which changes with each step of a cycle. */
#ifndef GA_SHM_GC_WORD_H
#define GA_SHM_GC_WORD_H

#include <stdint.h>

enum ga_gc_state {
    GA_GC_RUNNING = 0, /* of no cycle */
    GA_GC_STOPPED = 1,
};

static inline uint64_t ga_gc_word(enum ga_gc_state state, uint32_t cycle)
{
    return state == GA_GC_RUNNING ? 0 : (uint64_t)cycle << 2 | state;
}

/* Whether the word can be any of these. */
static inline int ga_gc_word_is_sound(uint64_t word)
{
    return word == 0 || ((word & 3) == GA_GC_STOPPED && word >> 34 == 0);
}

#endif
