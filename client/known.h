/* Pages that this mcache is known to hold: the first pages of small and tiny spans, by their
 * number, so that a free of an object there need not look up whose page it is. Some of them, in
 * private memory: a page is entered when the mcache allocates from it, or frees in it, and taken
 * out before its lease ends. Used by the thread whose cache it is. */
#ifndef GA_CLIENT_KNOWN_H
#define GA_CLIENT_KNOWN_H

#include <stdint.h>
#include <string.h>

#include "shm/layout.h"

#define GA_KNOWN_PAGES 1024u /* a power of two */

struct ga_free_list;

struct ga_known_page {
    uintptr_t number; /* of the page: its address by its size */
    struct ga_free_list *list;
};

struct ga_known {
    struct ga_known_page page[GA_KNOWN_PAGES];
};

static inline struct ga_known_page *ga_known_place(struct ga_known *known, uintptr_t number)
{
    return &known->page[number % GA_KNOWN_PAGES];
}

/* list: of the page's class. */
static inline void ga_known_add(struct ga_known *known, uintptr_t at, struct ga_free_list *list)
{
    uintptr_t number = at / GA_PAGE_SIZE;
    *ga_known_place(known, number) = (struct ga_known_page){.number = number, .list = list};
}

/* at: an address of the page. */
static inline void ga_known_remove(struct ga_known *known, uintptr_t at)
{
    uintptr_t number = at / GA_PAGE_SIZE;
    struct ga_known_page *place = ga_known_place(known, number);
    if (place->number == number)
        place->number = UINTPTR_MAX; /* no page's */
}

/* Of a new cache, all zero: nothing is known. Number 0 would be looked for in the first place
 * alone, so the others are not touched before they serve. */
static inline void ga_known_init(struct ga_known *known)
{
    known->page[0].number = UINTPTR_MAX;
}

/* Of one whose heap goes. */
static inline void ga_known_forget(struct ga_known *known)
{
    memset(known, 0xff, sizeof(*known));
}

#endif
