/* How long the turns of the loop take: from when it wakes until it waits again, which is how long
 * somebody who speaks meanwhile is not heard. By the clock, and by what the loop's thread has had
 * of a core, so that a busy machine and a busy server are told apart. */
#ifndef GA_SERVER_SHELL_TURNS_H
#define GA_SERVER_SHELL_TURNS_H

#include <stdint.h>

#include <uv.h>

struct ga_turns {
    uint64_t count;
    uint64_t longest_ns;     /* by the clock */
    uint64_t longest_cpu_ns; /* on a core; maybe of another turn */
    /* The rest is turns.c's: what the clocks said when the last turn ended. */
    uv_prepare_t before_waiting;
    uint64_t clock_ns;
    uint64_t waited_ns;
    uint64_t cpu_ns;
};

/* Of a loop that has not run yet, and will run on the thread that calls this: 0 or a negative
 * errno. The turns are at 0. */
int ga_turns_init(struct ga_turns *turns, uv_loop_t *loop);
/* Begin to measure, with the next turn. */
void ga_turns_start(struct ga_turns *turns);
void ga_turns_close(struct ga_turns *turns);

#endif
