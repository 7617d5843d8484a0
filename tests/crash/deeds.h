/* What processes of scenarios on several subjects do, and what they have. All run in a process of a
 * scenario. */
#ifndef GA_TESTS_CRASH_DEEDS_H
#define GA_TESTS_CRASH_DEEDS_H

#include <stddef.h>

#include "crash/actor.h"

#define GA_DEED_SMALL  64u  /* 128 slots a span, two words */
#define GA_DEED_FEW    480u /* 17 slots a span */
#define GA_DEED_LARGE  100000u
#define GA_DEED_HUGE   (2u << 20) /* never kept by a thread */
#define GA_DEED_ROOT   "root"
#define GA_DEED_HANDED (ga_account->spare[0]) /* the object that another process allocated */

extern void *ga_deed_x; /* the object that it is about */
extern void *ga_deed_many[256];

/* Allocate n objects, into ga_deed_many. */
void ga_deed_get_many(size_t n, size_t bytes);
/* Something of a class that the scenario is not about; and so an mcache. */
void ga_deed_get_other(void);
/* What a process frees later goes a shorter way than what it frees first. */
void ga_deed_get_other_and_free(void);
/* The operation: an object, of which nobody has noted anything yet. */
void ga_deed_malloc_small(void);
void ga_deed_malloc_tiny(void);
void ga_deed_malloc_large(void);
void ga_deed_malloc_huge(void);
/* What is there before: an object; all slots of a word; all of a tiny run, a word of 128 bytes. */
void ga_deed_get_one(void);
void ga_deed_get_word(void);
void ga_deed_get_tiny_run(void);
/* Another frees some of what the victim has. */
void ga_deed_hand_over_span(void);
/* Free what was handed over, up to the first that is none. */
void ga_deed_free_handed(void);
/* An object into the thread's slot 7. */
void ga_deed_into(size_t bytes);
void ga_deed_into_huge(void);
/* The object that is freed, or resized, later. */
void ga_deed_get_x(void);
void ga_deed_get_x_and_more(void);
void ga_deed_get_x_large(void);
/* Free it. */
void ga_deed_put_x(void);
void ga_deed_get_large_and_free(void);
/* Objects of another client; the victim needs an mcache of its own. */
void ga_deed_hand_over_small(void);
/* Free what was handed over. */
void ga_deed_put_handed(void);
/* What a survivor can get without the server: all free slots of its spans. */
void ga_deed_reuse_small(void);
/* One that will stay where it is. */
void ga_deed_resize_large(size_t bytes);
void ga_deed_grow_large(void);
/* Something of each kind of span, and two slots that were freed. */
void ga_deed_get_all_sorts(void);
/* Detach. */
void ga_deed_detach(void);

/* ---- of goallocd's ---- */

/* The server may be gone before it answers: then there is nothing to note. */
void ga_deed_keep_if_any(void *p, size_t bytes);
/* Allocate, if the server lives. */
void ga_deed_try_small(void);
void ga_deed_get_late(void);
void ga_deed_try_large(void);
/* A client that has something of everything. */
void ga_deed_get_everything(void);
/* More than is taken back in one turn of the loop. */
void ga_deed_get_many_spans(void);
/* What it has, it has still: it allocates from its spans, and frees. */
void ga_deed_go_on(void);
/* Complain of a result that is another. */
void ga_deed_expect(int r, int expected, const char *what);

#endif
