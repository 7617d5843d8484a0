#include "client/known.h"

#include <string.h>
#include <sys/mman.h>

void ga_known_init(struct ga_known *known, uintptr_t base, struct ga_known_page *few)
{
    *known = (struct ga_known){.base = base, .npages = GA_KNOWN_FEW, .pages = few};
}

void ga_known_fini(struct ga_known *known)
{
    if (known->mapped != 0)
        munmap(known->pages, known->mapped);
    *known = (struct ga_known){0};
}

void ga_known_grow(struct ga_known *known, ga_page_id page)
{
    if (known->npages == 0) /* the heap goes */
        return;
    uint64_t npages = known->npages;
    while (npages <= page)
        npages *= 2;
    size_t bytes = npages * sizeof(known->pages[0]);
    void *room = known->mapped != 0 ? mremap(known->pages, known->mapped, bytes, MREMAP_MAYMOVE)
                                    : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return;
    if (known->mapped == 0)
        memcpy(room, known->pages, known->npages * sizeof(known->pages[0]));
    known->pages = room;
    known->mapped = bytes;
    known->npages = npages;
}
