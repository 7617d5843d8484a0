#include "client/roomy.h"

struct ga_roomy_object *ga_roomy_find(struct ga_roomy *roomy, uint64_t page)
{
    for (uint32_t i = 0; i < roomy->count; i++)
        if (roomy->object[i].page == page)
            return &roomy->object[i];
    return NULL;
}

bool ga_roomy_has_room(const struct ga_thread_cache *cache, uint64_t spare_npages)
{
    const struct ga_roomy *roomy = &cache->roomy;
    return roomy->count < GA_ROOMY_MAX && roomy->spare_npages + spare_npages <= GA_ROOMY_NPAGES_MAX;
}

void ga_roomy_add(struct ga_thread_cache *cache, ga_page_id page, uint64_t npages,
                  uint64_t spare_npages)
{
    struct ga_roomy *roomy = &cache->roomy;
    roomy->spare_npages += (uint32_t)spare_npages;
    roomy->object[roomy->count++] = (struct ga_roomy_object){
        .page = page, .asked_npages = (uint32_t)npages, .spare_npages = (uint32_t)spare_npages};
}

bool ga_roomy_grow(struct ga_roomy *roomy, struct ga_roomy_object *object, uint64_t npages)
{
    if (npages < object->asked_npages)
        return false;
    uint32_t more = (uint32_t)npages - object->asked_npages;
    more = more < object->spare_npages ? more : object->spare_npages;
    object->asked_npages = (uint32_t)npages;
    object->spare_npages -= more;
    roomy->spare_npages -= more;
    return true;
}

void ga_roomy_forget(struct ga_thread_cache *cache, ga_page_id page)
{
    struct ga_roomy *roomy = &cache->roomy;
    struct ga_roomy_object *object = ga_roomy_find(roomy, page);
    if (!object)
        return;
    roomy->spare_npages -= object->spare_npages;
    *object = roomy->object[--roomy->count];
}
