/* Pages that this mcache is known to hold: the first pages of small and tiny spans, by their
 * number, so that a free of an object there need not look up whose page it is. Some of them, in
 * private memory: a page is entered when the mcache allocates from it, or frees in it, and taken
 * out before its lease ends. Used by the thread whose cache it is. */
#ifndef GA_CLIENT_KNOWN_H
#define GA_CLIENT_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/free_list.h"

#define GA_KNOWN_PAGES 1024u /* a power of two */

/* No page lies here, nor so near below any pointer that is one. */
#define GA_KNOWN_NOWHERE (UINTPTR_MAX / 2 + 1)

struct ga_known_page {
    uintptr_t base; /* where the page lies */
    struct ga_free_list *list;
    struct ga_span_line *line;
    uint64_t magic; /* of the size class (size_class.h); 0 of a tiny span's page */
};

struct ga_known {
    struct ga_known_page page[GA_KNOWN_PAGES];
};

/* Where the page is, if it is known, that has the address at. */
static inline struct ga_known_page *ga_known_place(struct ga_known *known, uintptr_t at)
{
    return &known->page[at / GA_PAGE_SIZE % GA_KNOWN_PAGES];
}

/* Whether it is there; *ret_offset: of the address in it, if so. */
static inline bool ga_known_has(const struct ga_known_page *page, uintptr_t at,
                                uint64_t *ret_offset)
{
    *ret_offset = at - page->base;
    return *ret_offset < GA_PAGE_SIZE;
}

/* list: of the page's class; line: of the page. */
static inline void ga_known_add(struct ga_known *known, uintptr_t at, struct ga_free_list *list,
                                struct ga_span_line *line)
{
    *ga_known_place(known, at) = (struct ga_known_page){
        .base = at & ~(GA_PAGE_SIZE - 1), .list = list, .line = line, .magic = list->magic};
}

/* at: an address of the page. */
static inline void ga_known_remove(struct ga_known *known, uintptr_t at)
{
    struct ga_known_page *place = ga_known_place(known, at);
    uint64_t offset;
    if (ga_known_has(place, at, &offset))
        place->base = GA_KNOWN_NOWHERE;
}

/* Of a new cache, all zero: nothing is known. The page at 0 would be looked for in the first place
 * alone, so the others are not touched before they serve. */
static inline void ga_known_init(struct ga_known *known)
{
    known->page[0].base = GA_KNOWN_NOWHERE;
}

/* Of one whose heap goes. */
static inline void ga_known_forget(struct ga_known *known)
{
    for (uint32_t i = 0; i < GA_KNOWN_PAGES; i++)
        known->page[i].base = GA_KNOWN_NOWHERE;
}

#endif
