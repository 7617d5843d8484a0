/* The marker: finds which objects can be reached from roots, by reading objects as words of 8 bytes
 * and taking each that lies in the heap for a pointer. A pointer into the middle of an object
 * counts. It reads the heap and the bits and changes neither; what it finds out lies in memory of
 * its own, which is taken for one marking and given back with it.
 *
 * Spans are entered first: those whose objects are to be found, and those whose objects are roots.
 * What a span had in use when it was entered is what is looked for in it. Spans that are made
 * later, and pages behind the end that the heap had then, are unknown here: pointers there mark
 * nothing.
 *
 * Objects of noscan spans are never read. Nothing here knows of processes, leases or policies:
 * collect.h does. Functions that return int: 0 or -ENOMEM. */
#ifndef GA_SERVER_MARK_H
#define GA_SERVER_MARK_H

#include <stdbool.h>

#include "shm/view.h"

struct ga_mark;

/* A marker of the heap that view shows. memory: the heap object as it is mapped here; base: its
 * address in clients, by which they point; npages: how far it is committed. */
int ga_mark_new(const struct ga_view *view, const void *memory, uint64_t base, uint64_t npages,
                struct ga_mark **ret);
/* NULL is allowed. No thread may be at work. */
void ga_mark_free(struct ga_mark *mark);

/* Enter a span, which lies in the pages known and overlaps none entered before: its objects are to
 * be found. Or: they are roots; what of them is in use is then read when the marking comes to it.
 */
int ga_mark_add_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                     ga_span_class span_class);
int ga_mark_add_root_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                          ga_span_class span_class);
/* Slots of an entered span's word are not to be found, though they were in use. Nothing is done
 * where no such word was entered: the page may be another span's by now. */
void ga_mark_leave_out(struct ga_mark *mark, ga_page_id page, uint32_t word, uint64_t slots);
/* Somebody points at offset, from the heap's base; anything is allowed. */
int ga_mark_add_root(struct ga_mark *mark, uint64_t offset);
/* Whether an entered span, not of roots, lies at offset. */
bool ga_mark_knows(const struct ga_mark *mark, uint64_t offset);

/* [from, to), bytes from the heap's base, words of 8, of the span that begins at page, has been
 * written since the marking began: what lies there in objects that are in use is read once more.
 * Not if the span holds no pointers. by_marks: the span was entered, its objects to be found, and
 * is the same still; then objects are left alone that were in use then and are not reached, for
 * when they are reached they will be read whole. */
int ga_mark_add_written(struct ga_mark *mark, ga_page_id page, ga_span_class span_class,
                        uint64_t from, uint64_t to, bool by_marks);
/* Forget what was added by ga_mark_add_written, and read. */
void ga_mark_forget_written(struct ga_mark *mark);
/* What is free now in an entered span, which is the same still, is nothing that is not reached; in
 * a word of a tiny span where anything has been allocated or freed, all of it counts as reached. */
void ga_mark_keep_used(struct ga_mark *mark, ga_page_id page);

/* Mark, until nothing is left to be marked. By so many threads at once as there are, each of which
 * calls this; one that comes when all is done returns at once. May be called again after more roots
 * were added; those are added while nobody is at work. alone: this is the only thread. */
void ga_mark_work(struct ga_mark *mark, bool alone);
/* Have every thread return soon; the marking is worth nothing then. Any thread. */
void ga_mark_cancel(struct ga_mark *mark);
/* Whether all that was asked for is marked: not if it was cancelled, or memory ran out. When nobody
 * is at work. */
bool ga_mark_is_whole(const struct ga_mark *mark);

/* The slots of a word of an entered span that were in use, and were not reached; in a tiny span the
 * units at which such objects start. */
uint64_t ga_mark_unreached(const struct ga_mark *mark, ga_page_id page, uint32_t word);

#endif
