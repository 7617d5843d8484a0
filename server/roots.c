/* Roots: objects published under a name, in a table in meta that every client can read. Linear
 * search: a heap has few roots, and nobody looks one up in a loop. */
#include "server/heap_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int check_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0)
        return -EINVAL;
    return length > GA_ROOT_NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool is_used(const struct ga_heap *heap, uint32_t index)
{
    return ga_load_relaxed(&heap->roots[index].used) != 0;
}

/* The index of the root called name, or root_end. */
static uint32_t find(const struct ga_heap *heap, const char *name)
{
    uint32_t index = 0;
    while (index < heap->root_end &&
           !(is_used(heap, index) && strcmp(heap->roots[index].name, name) == 0))
        index++;
    return index;
}

/* The first page of the span in use in which offset lies; 0 if it lies in none. */
static ga_page_id find_span(const struct ga_heap *heap, uint64_t offset)
{
    uint64_t page = offset >> GA_PAGE_SHIFT;
    if (page >= heap->npages_committed)
        return 0;
    uint64_t distance = ga_entry_distance(ga_load_relaxed(&heap->page_table[page]));
    if (distance > page || heap->mspans[page - distance].npages <= distance)
        return 0;
    return (ga_page_id)(page - distance);
}

/* Whether an object at offset may get a root: it is in a span, and not about to be freed with all
 * of its client's. */
static bool can_be_root(const struct ga_heap *heap, uint64_t offset)
{
    ga_page_id page = find_span(heap, offset);
    uint32_t client_plus_1 = page ? ga_lease_client(heap, page) : 0;
    return page != 0 && !(client_plus_1 != 0 && ga_clients_is_leaving(heap, client_plus_1 - 1) &&
                          ga_clients_is_private(heap, client_plus_1 - 1));
}

static int find_free(struct ga_heap *heap, uint32_t *ret_index)
{
    uint32_t index = 0;
    while (index < heap->root_end && is_used(heap, index))
        index++;
    if (index == heap->counts.roots)
        return -ENOSPC;
    if (index == heap->root_end) {
        int r = ga_backing_ensure(&heap->meta_backing,
                                  heap->meta->roots_offset + index * sizeof(struct ga_root_entry),
                                  sizeof(struct ga_root_entry));
        if (r < 0)
            return r;
        ga_store_release(&heap->meta->root_end, ++heap->root_end);
    }
    *ret_index = index;
    return 0;
}

/* Whether client may publish offset under name. */
static int check_publish(const struct ga_heap *heap, ga_client_id client, const char *name,
                         uint64_t offset)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    if (!ga_clients_is_served(heap, client))
        return -EPERM;
    return can_be_root(heap, offset) ? 0 : -EINVAL;
}

/* Whoever is charged with the root is no more. */
static void give(struct ga_heap *heap, const struct ga_root_entry *root)
{
    if (root->client)
        ga_quota_give(heap, root->client - 1, GA_QUOTA_ROOTS);
    else
        ga_quota_give_left(heap, root->uid, GA_QUOTA_ROOTS);
}

static void begin_use(struct ga_heap *heap, struct ga_root_entry *root)
{
    /* Pairs with who reads meta: a root in use has its name and its object. */
    ga_store_release(&root->used, 1);
    heap->nroots++;
}

static void end_use(struct ga_heap *heap, struct ga_root_entry *root)
{
    give(heap, root);
    ga_collect_note_let_go(heap, ga_load_relaxed(&root->offset));
    ga_store_release(&root->used, 0);
    heap->nroots--;
}

/* The root stands for another object, and is publisher's, who is charged with it already. */
static void point_to(struct ga_heap *heap, struct ga_root_entry *root, uint32_t publisher,
                     uint64_t offset)
{
    root->client = publisher;
    root->uid = heap->clients[publisher - 1].uid;
    ga_collect_note_let_go(heap, ga_load_relaxed(&root->offset));
    /* One store: who reads meta finds the old object or the new one. */
    ga_store_release(&root->offset, offset);
}

static int add(struct ga_heap *heap, ga_client_id client, const char *name, uint64_t offset)
{
    int r = ga_quota_take(heap, client, GA_QUOTA_ROOTS);
    if (r < 0)
        return r;
    uint32_t index = 0;
    r = find_free(heap, &index);
    if (r < 0) {
        ga_quota_give(heap, client, GA_QUOTA_ROOTS);
        return r;
    }
    struct ga_root_entry *root = &heap->roots[index];
    root->client = client + 1;
    root->uid = heap->clients[client].uid;
    ga_store_relaxed(&root->offset, offset);
    snprintf(root->name, sizeof(root->name), "%s", name);
    ga_journal_begin(heap, &(struct ga_change){.kind = GA_JOURNAL_PUBLISH, .index = index});
    begin_use(heap, root);
    ga_journal_end(heap);
    return 0;
}

int ga_heap_publish(struct ga_heap *heap, ga_client_id client, const char *name, uint64_t offset)
{
    int r = check_publish(heap, client, name, offset);
    if (r < 0)
        return r;
    if (find(heap, name) < heap->root_end)
        return -EEXIST;
    return add(heap, client, name, offset);
}

int ga_heap_replace(struct ga_heap *heap, ga_client_id client, const char *name, uint64_t offset,
                    uint64_t *ret_old_offset)
{
    int r = check_publish(heap, client, name, offset);
    if (r < 0)
        return r;
    uint32_t index = find(heap, name);
    if (index == heap->root_end) {
        r = add(heap, client, name, offset);
        if (r == 0)
            *ret_old_offset = 0;
        return r;
    }
    struct ga_root_entry *root = &heap->roots[index];
    if (root->client != client + 1) {
        r = ga_quota_take(heap, client, GA_QUOTA_ROOTS);
        if (r < 0)
            return r;
        give(heap, root);
    }
    *ret_old_offset = ga_load_relaxed(&root->offset);
    ga_journal_begin(heap, &(struct ga_change){.kind = GA_JOURNAL_REPLACE,
                                               .index = index,
                                               .publisher = client + 1,
                                               .offset = offset,
                                               .old_offset = *ret_old_offset});
    point_to(heap, root, client + 1, offset);
    ga_journal_end(heap);
    return 0;
}

int ga_heap_lookup(struct ga_heap *heap, const char *name, uint64_t *ret_offset,
                   uint32_t *ret_client_plus_1)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    uint32_t index = find(heap, name);
    if (index == heap->root_end)
        return -ENOENT;
    *ret_offset = ga_load_relaxed(&heap->roots[index].offset);
    *ret_client_plus_1 = heap->roots[index].client;
    return 0;
}

int ga_heap_unpublish(struct ga_heap *heap, const char *name)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    uint32_t index = find(heap, name);
    if (index == heap->root_end)
        return -ENOENT;
    ga_journal_begin(heap, &(struct ga_change){.kind = GA_JOURNAL_UNPUBLISH, .index = index});
    end_use(heap, &heap->roots[index]);
    ga_journal_end(heap);
    return 0;
}

void ga_roots_unpublish_spans(struct ga_heap *heap, ga_client_id client)
{
    for (uint32_t index = 0; index < heap->root_end; index++) {
        if (!is_used(heap, index))
            continue;
        ga_page_id page = find_span(heap, ga_load_relaxed(&heap->roots[index].offset));
        if (page != 0 && ga_lease_client(heap, page) == client + 1)
            end_use(heap, &heap->roots[index]); /* not a part of the request under way */
    }
}

bool ga_roots_has(const struct ga_heap *heap, uint64_t offset)
{
    uint32_t index = 0;
    while (index < heap->root_end &&
           !(is_used(heap, index) && ga_load_relaxed(&heap->roots[index].offset) == offset))
        index++;
    return index < heap->root_end;
}

void ga_roots_repeat(struct ga_heap *heap, const struct ga_journal *journal)
{
    struct ga_root_entry *root = &heap->roots[journal->index];
    bool used = is_used(heap, journal->index);
    switch (ga_load_relaxed(&journal->kind)) {
    case GA_JOURNAL_PUBLISH:
        if (used)
            return;
        ga_quota_enter(heap, root->client - 1, GA_QUOTA_ROOTS);
        begin_use(heap, root);
        return;
    case GA_JOURNAL_REPLACE:
        give(heap, root);
        ga_quota_enter(heap, journal->publisher - 1, GA_QUOTA_ROOTS);
        point_to(heap, root, journal->publisher, journal->offset);
        return;
    default:
        if (used)
            end_use(heap, root);
    }
}

void ga_roots_client_gone(struct ga_heap *heap, ga_client_id client)
{
    for (uint32_t index = 0; index < heap->root_end; index++) {
        struct ga_root_entry *root = &heap->roots[index];
        if (!is_used(heap, index) || root->client != client + 1)
            continue;
        give(heap, root);
        root->client = 0;
        ga_quota_take_left(heap, root->uid, GA_QUOTA_ROOTS);
    }
}

void ga_roots_enter(struct ga_heap *heap)
{
    for (uint32_t index = 0; index < heap->root_end; index++) {
        const struct ga_root_entry *root = &heap->roots[index];
        if (!is_used(heap, index))
            continue;
        heap->nroots++;
        if (root->client)
            ga_quota_enter(heap, root->client - 1, GA_QUOTA_ROOTS);
        else
            ga_quota_take_left(heap, root->uid, GA_QUOTA_ROOTS);
    }
}

int ga_heap_next_root(struct ga_heap *heap, uint32_t index, struct ga_root_info *ret)
{
    while (index < heap->root_end && !is_used(heap, index))
        index++;
    if (index >= heap->root_end)
        return -ENOENT;
    const struct ga_root_entry *root = &heap->roots[index];
    ret->index = index;
    memcpy(ret->name, root->name, sizeof(ret->name));
    ret->offset = ga_load_relaxed(&root->offset);
    ret->client_plus_1 = root->client;
    return 0;
}
