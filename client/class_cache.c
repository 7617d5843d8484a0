#include "client/class_cache.h"

#include "client/spans.h"

void ga_class_cache_init_all(struct ga_thread_cache *cache)
{
    ga_free_list_init(&cache->unmade, NULL, GA_NOBODY, 0, NULL);
    cache->last = &cache->unmade;
    for (uint32_t i = 0; i < GA_FINE_SIZES; i++)
        cache->by_size[i] = &cache->unmade;
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++)
        cache->by_class[c] = &cache->unmade;
}

void ga_class_cache_fini_all(struct ga_thread_cache *cache)
{
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (class)
            ga_spans_fini(class);
    }
}

void ga_class_cache_forget_all(struct ga_thread_cache *cache, struct ga_mcache *nothing)
{
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        if (!class)
            continue;
        ga_free_list_init(class->list, &nothing->classes[c], GA_NOBODY, (ga_span_class)c, NULL);
        class->list->class = class;
    }
}

/* The sizes that malloc takes from the class, if it does: those up to its slots' own. */
static void enter_sizes(struct ga_thread_cache *cache, struct ga_free_list *list,
                        uint32_t size_class)
{
    uint32_t i = list->size / 8 < GA_FINE_SIZES ? list->size / 8 + 1 : GA_FINE_SIZES;
    while (i-- > 0 && ga_size_class_fine_malloc[i] == size_class)
        cache->by_size[i] = list;
}

struct ga_class_cache *ga_class_cache_make(struct ga_thread_cache *cache, ga_span_class span_class)
{
    bool is_tiny = span_class == GA_SPAN_CLASS_TINY;
    bool has_list = span_class >= 2 && !is_tiny;
    uint32_t index = is_tiny ? 0 : ++cache->nclasses;
    struct ga_free_list *list = &cache->lists[index];
    struct ga_class_cache *class =
        is_tiny ? ga_class_cache_tiny(cache) : &cache->classes[index - 1];
    ga_free_list_init(list, &cache->shared->classes[span_class], cache->id, span_class,
                      has_list ? &ga_size_classes[span_class / 2] : NULL);
    if (has_list)
        ga_free_list_open(list, class->first, GA_FREE_LIST_FIRST_SLOTS);
    list->class = class;
    class->list = list;
    class->batch = 1;
    cache->by_class[span_class] = list;
    if (has_list && span_class % 2 == 0)
        enter_sizes(cache, list, span_class / 2);
    return class;
}
