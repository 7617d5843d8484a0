#include "support/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/audit.h"
#include "shm/mapping.h"
#include "shm/recount.h"
#include "shm/slot.h"
#include "shm/tiny.h"

enum { PATIENCE_MS = 20000, LOOK_MS = 20, TEXTS_MOST = 20 };

static void grow(struct ga_inventory *inventory, size_t *capacity)
{
    *capacity = *capacity ? *capacity * 2 : 1024;
    inventory->objects = realloc(inventory->objects, *capacity * sizeof(*inventory->objects));
    if (!inventory->objects)
        abort();
}

static void list_span(const struct ga_view *view, ga_page_id page, uint64_t entry,
                      struct ga_inventory *inventory, size_t *capacity)
{
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    bool tiny = entry & GA_ENTRY_TINY;
    uint32_t nslots = tiny              ? GA_TINY_NBLOCKS * GA_TINY_UNITS
                      : size_class == 0 ? 1
                                        : ga_size_classes[size_class].nslots;
    uint64_t bytes = tiny              ? GA_TINY_UNIT_BYTES
                     : size_class == 0 ? ga_entry_npages(entry) << GA_PAGE_SHIFT
                                       : ga_size_classes[size_class].size;
    for (uint32_t i = 0; i < nslots; i++) {
        struct ga_slot slot = {.page = page, .index = i, .entry = entry};
        uint64_t a;
        if (!ga_slot_in_use(view, &slot, &a))
            continue;
        if (inventory->count == *capacity)
            grow(inventory, capacity);
        inventory->objects[inventory->count++] = (struct ga_inventory_object){
            .object = (uint8_t *)(uintptr_t)(view->meta->base + ((uint64_t)page << GA_PAGE_SHIFT) +
                                             i * bytes),
            .bytes = bytes,
            .noscan = ga_entry_span_class(entry) % 2u,
        };
    }
}

static void list_all(const struct ga_view *view, struct ga_inventory *ret)
{
    size_t capacity = 0;
    uint64_t page = 1;
    uint64_t entry;
    *ret = (struct ga_inventory){0};
    while (ga_recount_next_span(view, &page, &entry) == 0) {
        list_span(view, (ga_page_id)page, entry, ret, &capacity);
        page += ga_entry_npages(entry);
    }
}

static void print_fault(void *data, const struct ga_audit_fault *fault)
{
    uint32_t *count = data;
    char text[GA_AUDIT_TEXT_BYTES];
    if ((*count)++ < TEXTS_MOST)
        fprintf(stderr, "audit: %s\n", ga_audit_fault_text(fault, text));
}

static int64_t audit(const struct ga_view *view, bool print, struct ga_audit *ret)
{
    static struct ga_audit_scratch scratch;
    uint32_t count = 0;
    struct ga_audit_options options = {
        .scratch = &scratch, .report = print ? print_fault : NULL, .data = &count};
    return ga_audit_run(view, &options, ret) < 0 ? -1 : (int64_t)ret->nfaults;
}

struct look {
    struct ga_mapping meta;
    struct ga_mapping bits;
    struct ga_view view;
};

static bool open_look(const char *heap_name, struct look *ret)
{
    if (ga_mapping_open(heap_name, GA_OBJECT_META, true, -1, 0, 0, &ret->meta) < 0)
        return false;
    if (ga_mapping_open(heap_name, GA_OBJECT_BITS, true, -1, 0, 0, &ret->bits) < 0) {
        ga_mapping_close(&ret->meta);
        return false;
    }
    ret->view = ga_view_of(ret->meta.address, ret->bits.address);
    return true;
}

static void close_look(struct look *look)
{
    ga_mapping_close(&look->bits);
    ga_mapping_close(&look->meta);
}

int64_t ga_inventory_take(const char *heap_name, uint32_t nclients, struct ga_inventory *ret)
{
    struct look look;
    *ret = (struct ga_inventory){0};
    if (!open_look(heap_name, &look))
        return -1;
    struct ga_audit result = {0};
    int64_t nfaults = -1;
    /* The server may not have taken back all that the last ones left. */
    for (int ms = 0; ms < PATIENCE_MS && (nfaults != 0 || result.clients != nclients);
         ms += LOOK_MS) {
        usleep(LOOK_MS * 1000);
        nfaults = audit(&look.view, false, &result);
    }
    if (nfaults > 0)
        nfaults = audit(&look.view, true, &result);
    if (result.clients != nclients) {
        fprintf(stderr, "%u clients are attached\n", result.clients);
        nfaults = -1;
    }
    list_all(&look.view, ret);
    close_look(&look);
    return nfaults;
}

/* What the heap has noted where the object lies. */
static void tell(const struct ga_view *view, const uint8_t *object, const char *what,
                 const char *of_it)
{
    uint64_t offset = (uintptr_t)object - view->meta->base;
    uint64_t page = offset >> GA_PAGE_SHIFT;
    fprintf(stderr, "%s: %s", what, of_it);
    if (!object || page >= ga_load_acquire(&view->meta->committed_npages)) {
        fputs("; not in the heap\n", stderr);
        return;
    }
    uint64_t distance = ga_entry_distance(ga_view_entry(view, page));
    page -= distance <= page ? distance : 0;
    uint64_t entry = ga_view_entry(view, page);
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    uint64_t slot =
        size_class == 0 ? 0 : (offset - (page << GA_PAGE_SHIFT)) / ga_size_classes[size_class].size;
    uint64_t a = ga_load_acquire(ga_view_a(view, (ga_page_id)page, (uint32_t)(slot / 64)));
    uint64_t f = ga_load_acquire(ga_view_f(view, (ga_page_id)page, (uint32_t)(slot / 64)));
    fprintf(stderr,
            "; span %#llx, entry %#llx, class %u, slot %llu, A %#llx, F %#llx, holder %#llx\n",
            (unsigned long long)page, (unsigned long long)entry, size_class,
            (unsigned long long)slot, (unsigned long long)a, (unsigned long long)f,
            (unsigned long long)ga_load_acquire(&view->lines[page].holder));
}

void ga_inventory_tell(const char *heap_name, const uint8_t *object, const char *what,
                       const char *of_it)
{
    struct look look;
    if (!open_look(heap_name, &look))
        return;
    tell(&look.view, object, what, of_it);
    close_look(&look);
}

int ga_inventory_by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (uint8_t *const *)a;
    uintptr_t y = (uintptr_t) * (uint8_t *const *)b;
    return (x > y) - (x < y);
}

const void *ga_inventory_find(const void *sorted, size_t count, size_t size, uint8_t *object)
{
    return count > 0 ? bsearch(&object, sorted, count, size, ga_inventory_by_address) : NULL;
}
