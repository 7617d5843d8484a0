/* Pages that this mcache is known to hold: the first pages of small and tiny spans, each with its
 * span class, so that a free of an object there need not look up whose page it is. Eight bytes a
 * page of the heap, in private memory of which only what is used is ever touched; there is room for
 * more pages when one of them is entered. A page is entered when the mcache allocates from it, or
 * frees in it, and taken out before its lease ends. Used by the thread whose cache it is. */
#ifndef GA_CLIENT_KNOWN_H
#define GA_CLIENT_KNOWN_H

#include <stddef.h>

#include "shm/layout.h"

/* There is room for so many from the beginning. */
#define GA_KNOWN_FEW 4096u

struct ga_known_page {
    /* Of the size class; 0 where that is tiny, or the page not known. It is here, and not only on
     * the class's list, since all that a free does waits for the bit that it leads to. */
    uint32_t magic;
    uint32_t span_class; /* 0 = not known, for no small span is of that class */
};

struct ga_known {
    uintptr_t base;  /* of the heap */
    uint64_t npages; /* that there is room for, from the heap's first on */
    struct ga_known_page *pages;
    size_t mapped; /* bytes of them, where they are memory of its own */
};

/* Begin with no page known. base: where the heap lies; few: GA_KNOWN_FEW places, all zero. */
void ga_known_init(struct ga_known *known, uintptr_t base, struct ga_known_page *few);
/* Give back what it has taken. */
void ga_known_fini(struct ga_known *known);

/* The number of the page that at, any address, lies in; none that there is room for, where that is
 * not in the heap. */
static inline uint64_t ga_known_page(const struct ga_known *known, uintptr_t at)
{
    return (at - known->base) >> GA_PAGE_SHIFT;
}

/* What is known of the page. */
static inline __attribute__((always_inline)) const struct ga_known_page *
ga_known_look(const struct ga_known *known, uint64_t page)
{
    static const struct ga_known_page nothing;
    return __builtin_expect(page < known->npages, 1) ? &known->pages[page] : &nothing;
}

/* Make room for the page. Nothing where there is no memory. */
void ga_known_grow(struct ga_known *known, ga_page_id page);

/* Enter the page; magic: as in its place. Where there is no memory for that it stays unknown. */
static inline void ga_known_add(struct ga_known *known, ga_page_id page, ga_span_class span_class,
                                uint32_t magic)
{
    if (__builtin_expect(page >= known->npages, 0))
        ga_known_grow(known, page);
    if (page < known->npages)
        known->pages[page] = (struct ga_known_page){.magic = magic, .span_class = span_class};
}

static inline void ga_known_remove(struct ga_known *known, ga_page_id page)
{
    if (page < known->npages)
        known->pages[page] = (struct ga_known_page){0};
}

/* No page is known any more, and none will be: the heap goes. */
static inline void ga_known_forget(struct ga_known *known)
{
    known->npages = 0;
}

#endif
