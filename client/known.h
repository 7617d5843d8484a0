/* Pages that this mcache is known to hold: the first pages of small and tiny spans, each with its
 * span class, so that a free of an object there need not look up whose page it is. One byte a page
 * of the heap, in private memory of which only what is used is ever touched; there is room for more
 * pages when one of them is entered. A page is entered when the mcache allocates from it, or frees
 * in it, and taken out before its lease ends. Used by the thread whose cache it is. */
#ifndef GA_CLIENT_KNOWN_H
#define GA_CLIENT_KNOWN_H

#include <stddef.h>

#include "shm/layout.h"

/* There is room for so many from the beginning. */
#define GA_KNOWN_FEW 4096u

struct ga_known {
    uintptr_t base;    /* of the heap */
    uint64_t npages;   /* that there is room for, from the heap's first on */
    uint8_t *class_of; /* by page; 0 = not known, for no small span is of that class */
    size_t mapped;     /* bytes of it, where they are memory of its own */
};

static_assert(GA_SPAN_CLASS_COUNT <= UINT8_MAX + 1, "a class fits");

/* Begin with no page known. base: where the heap lies; few: GA_KNOWN_FEW bytes, all zero. */
void ga_known_init(struct ga_known *known, uintptr_t base, uint8_t *few);
/* Give back what it has taken. */
void ga_known_fini(struct ga_known *known);

/* The number of the page that at, any address, lies in; none that there is room for, where that is
 * not in the heap. */
static inline uint64_t ga_known_page(const struct ga_known *known, uintptr_t at)
{
    return (at - known->base) >> GA_PAGE_SHIFT;
}

/* The page's span class if it is known, else 0. */
static inline ga_span_class ga_known_class(const struct ga_known *known, uint64_t page)
{
    return __builtin_expect(page < known->npages, 1) ? known->class_of[page] : 0;
}

/* Make room for the page. Nothing where there is no memory. */
void ga_known_grow(struct ga_known *known, ga_page_id page);

/* Enter the page; where there is no memory for that it stays unknown. */
static inline void ga_known_add(struct ga_known *known, ga_page_id page, ga_span_class span_class)
{
    if (__builtin_expect(page >= known->npages, 0))
        ga_known_grow(known, page);
    if (page < known->npages)
        known->class_of[page] = span_class;
}

static inline void ga_known_remove(struct ga_known *known, ga_page_id page)
{
    if (page < known->npages)
        known->class_of[page] = 0;
}

/* No page is known any more, and none will be: the heap goes. */
static inline void ga_known_forget(struct ga_known *known)
{
    known->npages = 0;
}

#endif
