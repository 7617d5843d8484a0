/* Roomy objects: large ones that lie in a span which the mcache had kept, more than a quarter
 * longer than what was asked for. Such a span serves what no closer one is kept for, and an object
 * that grows grows in it without a word to anybody.
 *
 * To everybody the object is as long as its span. Only the thread that put it there remembers what
 * it asked for, so as to tell growing from shrinking; and how much there is to spare in all of
 * them, so that this stays bounded. All this is private, and may be forgotten at any time. */
#ifndef GA_CLIENT_ROOMY_H
#define GA_CLIENT_ROOMY_H

#include "client/heap.h"

/* Whether one more object may have so much to spare. */
bool ga_roomy_has_room(const struct ga_thread_cache *cache, uint64_t spare_npages);

/* The object at page was asked for with npages, and has more to spare: ga_roomy_has_room said that
 * it may. */
void ga_roomy_add(struct ga_thread_cache *cache, ga_page_id page, uint64_t npages,
                  uint64_t spare_npages);

/* The object at page, any number; NULL if it is none of these. */
struct ga_roomy_object *ga_roomy_find(struct ga_roomy *roomy, uint64_t page);

/* The object, which is in use, is to be npages long, which its span is. Whether it does not shrink
 * by it: then it may stay as it is. */
bool ga_roomy_grow(struct ga_roomy *roomy, struct ga_roomy_object *object, uint64_t npages);

/* The object at page is freed, or its span as long as it should be. */
void ga_roomy_forget(struct ga_thread_cache *cache, ga_page_id page);

#endif
