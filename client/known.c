#include "client/known.h"

#include <string.h>
#include <sys/mman.h>

void ga_known_init(struct ga_known *known, uintptr_t base, uint8_t *few)
{
    *known = (struct ga_known){.base = base, .npages = GA_KNOWN_FEW, .class_of = few};
}

void ga_known_fini(struct ga_known *known)
{
    if (known->mapped != 0)
        munmap(known->class_of, known->mapped);
    *known = (struct ga_known){0};
}

void ga_known_grow(struct ga_known *known, ga_page_id page)
{
    if (known->npages == 0) /* the heap goes */
        return;
    size_t bytes = known->npages;
    while (bytes <= page)
        bytes *= 2;
    void *room = known->mapped != 0 ? mremap(known->class_of, known->mapped, bytes, MREMAP_MAYMOVE)
                                    : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return;
    if (known->mapped == 0)
        memcpy(room, known->class_of, known->npages);
    known->class_of = room;
    known->mapped = bytes;
    known->npages = bytes;
}
