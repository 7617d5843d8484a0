/* The counters are read while the clients go on, so a class can show more frees than mallocs. */
#include "client/ctl/class_rows.h"

void ga_class_rows_collect(const Goalloc__V1__Stats *stats, struct ga_class_rows *ret)
{
    *ret = (struct ga_class_rows){0};
    for (size_t i = 0; i < stats->n_by_class; i++) {
        const Goalloc__V1__ClassStats *from = stats->by_class[i];
        if (from->size_class >= GA_SIZE_CLASS_COUNT)
            continue;
        ret->row[from->size_class] = (struct ga_class_row){
            .mallocs = from->mallocs,
            .frees = from->frees,
            .live = from->mallocs > from->frees ? from->mallocs - from->frees : 0,
            .spans = from->spans,
            .alloc_bytes = from->alloc_bytes,
        };
    }
}
