#include "server/mspan.h"

void ga_span_list_push(struct ga_span_list *list, struct ga_mspan *mspans, ga_page_id page)
{
    mspans[page].next = list->first;
    mspans[page].prev = 0;
    if (list->first)
        mspans[list->first].prev = page;
    list->first = page;
    list->count++;
}

void ga_span_list_remove(struct ga_span_list *list, struct ga_mspan *mspans, ga_page_id page)
{
    struct ga_mspan *span = &mspans[page];
    assert(list->count > 0);
    if (span->prev)
        mspans[span->prev].next = span->next;
    else
        list->first = span->next;
    if (span->next)
        mspans[span->next].prev = span->prev;
    span->next = 0;
    span->prev = 0;
    list->count--;
}
