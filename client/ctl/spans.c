/* goallocctl spans: every span in use, in the order of addresses, with what it holds and who
 * allocates from it. The server tells pages and client numbers; the heap's base makes addresses of
 * the ones, the list of clients processes of the others. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "client/ctl/view.h"
#include "shm/size_class.h"

static uint64_t address_of(const struct ga_ctl_view *view, const Goalloc__V1__SpanInfo *span)
{
    return view->base + ((uint64_t)span->page << GA_PAGE_SHIFT);
}

static uint64_t bytes_of(const Goalloc__V1__SpanInfo *span)
{
    return (uint64_t)span->npages << GA_PAGE_SHIFT;
}

/* Of one slot: a large span is one slot as long as itself, a tiny one has blocks for slots. */
static uint64_t slot_bytes_of(const Goalloc__V1__SpanInfo *span)
{
    uint32_t class = span->span_class / 2;
    if (span->span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_BLOCK_BYTES;
    return class == 0 || class >= GA_SIZE_CLASS_COUNT ? bytes_of(span)
                                                      : ga_size_classes[class].size;
}

/* The process that allocates from the span, or that asked for the large object; NULL where nobody
 * leases it, or the process is gone. */
static const Goalloc__V1__ClientInfo *owner_of(const struct ga_ctl_view *view,
                                               const Goalloc__V1__SpanInfo *span)
{
    return ga_ctl_view_client(view, span->client);
}

/* Whether the span is one that was asked for. */
static bool is_wanted(const struct ga_span_filter *filter, const struct ga_ctl_view *view,
                      const Goalloc__V1__SpanInfo *span)
{
    uint32_t size_class = span->span_class / 2;
    if (filter->size_class >= 0 && size_class != (uint64_t)filter->size_class)
        return false;
    if ((filter->large && size_class != 0) || (filter->leased && span->owner == 0))
        return false;
    if (filter->owner && span->owner != filter->owner)
        return false;
    if ((filter->partial && (span->used == 0 || span->used == span->slots)) ||
        (filter->full && span->used != span->slots))
        return false;
    if (filter->pid == 0)
        return true;
    const Goalloc__V1__ClientInfo *client = owner_of(view, span);
    return client && client->pid == filter->pid;
}

/* Where a walk over the wanted spans of a list is. */
struct walk {
    size_t part;
    size_t index;
    uint64_t count;
};

/* The next span that is wanted, NULL behind the last and at the filter's limit. */
static const Goalloc__V1__SpanInfo *next_span(const struct ga_span_filter *filter,
                                              const struct ga_ctl_view *view, struct walk *walk)
{
    if (filter->limit && walk->count == filter->limit)
        return NULL;
    for (; walk->part < view->parts.count; walk->part++, walk->index = 0) {
        const Goalloc__V1__SpanList *list = view->parts.answers[walk->part].message->span_list;
        while (walk->index < list->n_spans) {
            const Goalloc__V1__SpanInfo *span = list->spans[walk->index++];
            if (is_wanted(filter, view, span)) {
                walk->count++;
                return span;
            }
        }
    }
    return NULL;
}

static void json_span(struct ga_json *json, const struct ga_ctl_view *view,
                      const Goalloc__V1__SpanInfo *span)
{
    const Goalloc__V1__ClientInfo *client = owner_of(view, span);
    ga_json_begin_object(json, NULL);
    ga_json_address(json, "address", address_of(view, span));
    ga_json_number(json, "page", span->page);
    ga_json_number(json, "npages", span->npages);
    ga_json_number(json, "size_class", span->span_class / 2);
    ga_json_number(json, "slot_bytes", slot_bytes_of(span));
    ga_json_bool(json, "noscan", span->span_class % 2 == 1);
    ga_json_number(json, "slots", span->slots);
    ga_json_number(json, "used", span->used);
    ga_json_number(json, "owner_mcache", span->owner);
    ga_json_number(json, "pid", client ? client->pid : 0);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct ga_ctl_view *view)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_address(&json, "base", view->base);
    ga_json_begin_list(&json, "spans");
    struct walk walk = {0};
    const Goalloc__V1__SpanInfo *span;
    while ((span = next_span(&ctl->filter, view, &walk)))
        json_span(&json, view, span);
    ga_json_end(&json);
    ga_json_end(&json);
}

static void table_span(struct ga_table *table, const struct ga_ctl_view *view,
                       const Goalloc__V1__SpanInfo *span)
{
    const Goalloc__V1__ClientInfo *client = owner_of(view, span);
    ga_table_cell(table, "0x%" PRIx64, address_of(view, span));
    ga_table_number(table, span->npages);
    if (span->span_class / 2 == 0) {
        ga_table_cell(table, "large");
        ga_table_size(table, slot_bytes_of(span));
    } else {
        ga_table_number(table, span->span_class / 2);
        ga_table_cell(table, "%" PRIu64 " B", slot_bytes_of(span));
    }
    ga_table_cell(table, "%s", span->span_class % 2 == 1 ? "noscan" : "scan");
    ga_table_number(table, span->slots);
    ga_table_number(table, span->used);
    if (span->owner)
        ga_table_number(table, span->owner);
    else
        ga_table_cell(table, "-");
    if (client)
        ga_table_number(table, client->pid);
    else
        ga_table_cell(table, "-");
}

static int print_spans(const struct ga_ctl *ctl, const struct ga_ctl_view *view)
{
    static const struct ga_table_column columns[] = {
        {.title = "ADDRESS", .align = GA_TABLE_LEFT}, {.title = "PAGES", .align = GA_TABLE_RIGHT},
        {.title = "CLASS", .align = GA_TABLE_RIGHT},  {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "KIND", .align = GA_TABLE_LEFT},    {.title = "SLOTS", .align = GA_TABLE_RIGHT},
        {.title = "USED", .align = GA_TABLE_RIGHT},   {.title = "MCACHE", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    uint64_t bytes = 0;
    uint64_t slots = 0;
    uint64_t used = 0;
    struct walk walk = {0};
    const Goalloc__V1__SpanInfo *span;
    while ((span = next_span(&ctl->filter, view, &walk))) {
        table_span(table, view, span);
        bytes += bytes_of(span);
        slots += span->slots;
        used += span->used;
    }
    int err = ga_print_table(table);
    if (err < 0)
        return err;

    char size[GA_UNITS_BYTES];
    char share[GA_UNITS_BYTES];
    ga_units_size(bytes, size);
    ga_units_share(used, slots, share);
    printf("\n%" PRIu64 " span%s, %" PRIu64 " page%s (%s), %" PRIu64 " of %" PRIu64
           " slots used (%s)\n",
           walk.count, ga_print_plural(walk.count), bytes >> GA_PAGE_SHIFT,
           ga_print_plural(bytes >> GA_PAGE_SHIFT), size, used, slots, share);
    return 0;
}

int ga_ctl_spans(const struct ga_ctl *ctl)
{
    struct ga_ctl_view view;
    int err = ga_ctl_view_fetch(ctl, ga_ask_spans, &view);
    if (err < 0)
        return err;
    if (ctl->json)
        print_json(ctl, &view);
    else
        err = print_spans(ctl, &view);
    ga_ctl_view_fini(&view);
    return err;
}
