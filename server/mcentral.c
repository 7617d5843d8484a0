#include "server/mcentral.h"

void ga_mcentral_put(struct ga_mcentral *central, struct ga_mspan *mspans, ga_page_id page,
                     uint32_t used, uint32_t nslots)
{
    assert(used > 0 && used <= nslots);
    struct ga_mspan *span = &mspans[page];
    if (used == nslots) {
        span->place = GA_SPAN_FULL;
        ga_span_list_push(&central->full, mspans, page);
    } else {
        span->place = GA_SPAN_PARTIAL;
        span->bucket = (uint8_t)(used * GA_BUCKET_COUNT / nslots);
        ga_span_list_push(&central->partial[span->bucket], mspans, page);
    }
}

bool ga_mcentral_has_partial(const struct ga_mcentral *central)
{
    for (int bucket = 0; bucket < GA_BUCKET_COUNT; bucket++)
        if (central->partial[bucket].first)
            return true;
    return false;
}

ga_page_id ga_mcentral_take(struct ga_mcentral *central, struct ga_mspan *mspans)
{
    for (int bucket = GA_BUCKET_COUNT - 1; bucket >= 0; bucket--) {
        ga_page_id page = central->partial[bucket].first;
        if (page) {
            ga_mcentral_remove(central, mspans, page);
            return page;
        }
    }
    return 0;
}

ga_page_id ga_mcentral_take_of(struct ga_mcentral *central, struct ga_mspan *mspans,
                               uint16_t account)
{
    unsigned looks = 0;
    for (int bucket = GA_BUCKET_COUNT - 1; bucket >= 0; bucket--) {
        ga_page_id page = central->partial[bucket].first;
        for (; page && looks < GA_MCENTRAL_LOOKS; page = mspans[page].next, looks++) {
            if (mspans[page].account != account && mspans[page].account != 0)
                continue;
            ga_mcentral_remove(central, mspans, page);
            return page;
        }
    }
    return 0;
}

void ga_mcentral_remove(struct ga_mcentral *central, struct ga_mspan *mspans, ga_page_id page)
{
    struct ga_mspan *span = &mspans[page];
    assert(span->place == GA_SPAN_PARTIAL || span->place == GA_SPAN_FULL);
    struct ga_span_list *list =
        span->place == GA_SPAN_FULL ? &central->full : &central->partial[span->bucket];
    ga_span_list_remove(list, mspans, page);
}
