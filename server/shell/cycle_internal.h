/* What the parts of collection cycles ask of each other: the steps (cycle.c), who waits for one
 * (cycle_waiters.c), what they are told (cycle_answer.c), and when one is due (cycle_due.c). */
#ifndef GA_SERVER_SHELL_CYCLE_INTERNAL_H
#define GA_SERVER_SHELL_CYCLE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"
#include "server/collect.h"
#include "server/shell/cycle.h"

/* ---- cycle.c ---- */

/* None is under way: begin one. */
void ga_cycle_begin(struct ga_server *server, enum ga_collect_mode mode);

/* ---- cycle_waiters.c ---- */

/* The cycle has begun: those whom it serves wait for it. */
void ga_cycle_take_waiters(struct ga_server *server);
/* Whether anybody waits for its end. */
bool ga_cycle_is_waited_for(const struct ga_cycle *cycle);
/* It was abandoned, since processes come and go, which may keep one cycle from its end, and the
 * next perhaps not: who waited for this one waits for that, some times. */
void ga_cycle_try_again(struct ga_server *server);
/* It is over: answer those who waited for it. A request that is handled again may wait for the
 * next. */
void ga_cycle_tell(struct ga_server *server);
/* Begin one if somebody waits for one that has not begun; the first has it his way. */
void ga_cycle_begin_next(struct ga_server *server);
/* Have the request wait for the end of the cycle under way, or of one that begins later. False:
 * there is no memory for that. */
bool ga_cycle_wait_with(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                        bool for_current);

/* ---- cycle_answer.c ---- */

/* What came of the cycle that is over; NULL if there is no memory. free() it. */
Goalloc__V1__GcResult *ga_cycle_answer_new(struct ga_server *server);

/* ---- cycle_due.c ---- */

/* The next cycle is due when managed clients have had --gc-percent more than what is reached now.
 */
void ga_cycle_set_goal(struct ga_cycle *cycle, uint64_t reached_bytes);
/* A cycle is over: set when managed clients are to have the next for having grown. */
void ga_cycle_note_growth(struct ga_server *server);

#endif
