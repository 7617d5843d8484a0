#include "reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hand.h"
#include "object.h"

enum { TEXTS_MOST = 10 };

/* ---- doubts ---- */

/* The live object that word points into: its record. */
static shadow_id record_at(struct shadow *shadow, const uint8_t *word)
{
    shadow_id found = 0;
    for (shadow_id id = 1; id <= SHADOW_RECORDS; id++) {
        const struct shadow_record *record = shadow_record(shadow, id);
        if (atomic_load(&record->state) != SHADOW_LIVE)
            continue;
        const uint8_t *object = shadow_address(record);
        if (word >= object && word < object + record->bytes && object_is_intact(object, record) &&
            (found == 0 || record->number > shadow_record(shadow, found)->number))
            found = id;
    }
    return found;
}

static uint64_t fault(struct reach *reach, const char *what, shadow_id id)
{
    char text[SHADOW_TEXT_BYTES];
    fprintf(stderr, "%s: %s\n", what, shadow_text(reach->shadow, id, text));
    return 1;
}

static uint64_t settle_names(struct reach *reach)
{
    uint64_t nfaults = 0;
    for (uint32_t i = 0; i < SHADOW_NAMES; i++) {
        struct shadow_name *name = &reach->shadow->name[i];
        if (atomic_load(&name->lock) != SHADOW_DOUBT)
            continue;
        char text[16];
        void *object = NULL;
        hand_name_text(i, text);
        int r = goalloc_lookup(reach->heap, text, &object);
        shadow_id id = r == 0 ? record_at(reach->shadow, object) : 0;
        if ((r < 0 && r != -ENOENT) || (r == 0 && id == 0))
            nfaults +=
                fault(reach, "a root is of none that there is, last", atomic_load(&name->id));
        atomic_store(&name->id, id);
        shadow_unlock(&name->lock);
    }
    return nfaults;
}

/* Of a record that is reachable, and that a dead client had locked. */
static uint64_t settle_edges(struct reach *reach, shadow_id from)
{
    struct shadow_record *record = shadow_record(reach->shadow, from);
    uint64_t nfaults = 0;
    for (uint32_t i = 0; i < record->nedges; i++) {
        const uint8_t *word = *object_edge(shadow_address(record), record->bytes, i);
        shadow_id id = word ? record_at(reach->shadow, word) : 0;
        if (word && id == 0)
            nfaults += fault(reach, "has an edge to none that there is", from);
        atomic_store(&record->edge[i], id);
    }
    shadow_unlock(&record->lock);
    return nfaults;
}

/* ---- what is reachable ---- */

struct walk {
    bool *seen;
    shadow_id stack[SHADOW_RECORDS];
    size_t nstack;
};

static void see(struct walk *walk, shadow_id id)
{
    if (id == 0 || walk->seen[id - 1])
        return;
    walk->seen[id - 1] = true;
    walk->stack[walk->nstack++] = id;
}

static uint64_t go_on(struct reach *reach, struct walk *walk)
{
    uint64_t nfaults = 0;
    while (walk->nstack > 0) {
        shadow_id id = walk->stack[--walk->nstack];
        struct shadow_record *record = shadow_record(reach->shadow, id);
        if (atomic_load(&record->state) != SHADOW_LIVE)
            nfaults += fault(reach, "is reachable", id);
        if (atomic_load(&record->lock) == SHADOW_DOUBT)
            nfaults += settle_edges(reach, id);
        for (uint32_t i = 0; i < record->nedges; i++)
            see(walk, atomic_load(&record->edge[i]));
    }
    return nfaults;
}

/* Everything that a client has made: living or dead, or living only. */
static void see_all_of(struct reach *reach, struct walk *walk, uint32_t client, bool living)
{
    struct shadow *shadow = reach->shadow;
    for (shadow_id id = 1; id <= SHADOW_RECORDS; id++) {
        const struct shadow_record *record = shadow_record(shadow, id);
        if (record->owner == client && atomic_load(&record->state) == SHADOW_LIVE &&
            (!living || record->round == atomic_load(&shadow->round[client])))
            see(walk, id);
    }
}

uint64_t reach_find(struct reach *reach)
{
    static struct walk walk;
    struct shadow *shadow = reach->shadow;
    memset(reach->known, 0, sizeof(reach->known));
    walk = (struct walk){.seen = reach->known};
    uint64_t nfaults = settle_names(reach);
    for (uint32_t i = 0; i < SHADOW_NAMES; i++)
        see(&walk, atomic_load(&shadow->name[i].id));
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        for (uint32_t t = 0; t < shadow->nthreads; t++)
            for (uint32_t i = 0; i < SHADOW_POCKETS; i++)
                see(&walk, atomic_load(&shadow->thread[c][t].pocket[i]));
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        if (shadow->kind[c] == SHADOW_UNREACHABLE)
            see_all_of(reach, &walk, c, true);
    nfaults += go_on(reach, &walk);

    memcpy(reach->kept, reach->known, sizeof(reach->kept));
    walk.seen = reach->kept;
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        if (shadow->collected && shadow->kind[c] == SHADOW_ORDINARY)
            see_all_of(reach, &walk, c, false);
    nfaults += go_on(reach, &walk);
    reach->nkept = 0;
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++)
        reach->nkept += reach->kept[i];
    return nfaults;
}

/* ---- against the heap ---- */

static const char *check_edges(const struct reach *reach, const struct shadow_record *record)
{
    for (uint32_t i = 0; i < record->nedges; i++) {
        const uint8_t *word = *object_edge(shadow_address(record), record->bytes, i);
        shadow_id id = atomic_load(&record->edge[i]);
        if (id == 0 && word)
            return "has an edge that nobody made";
        if (id == 0)
            continue;
        const struct shadow_record *target = shadow_record(reach->shadow, id);
        if (word < shadow_address(target) || word >= shadow_address(target) + target->bytes)
            return "has lost an edge";
    }
    return NULL;
}

static const char *check_one(const struct reach *reach, const struct ga_inventory *inventory,
                             const struct shadow_record *record)
{
    uint8_t *object = shadow_address(record);
    if (!ga_inventory_find(inventory->objects, inventory->count, sizeof(*inventory->objects),
                           object))
        return "is reachable and not in use";
    if (!object_is_intact(object, record))
        return "is reachable and has other bytes than it was given";
    return check_edges(reach, record);
}

/* Where the shadow says that the object is known. */
static void tell_who_knows(const struct reach *reach, shadow_id id)
{
    struct shadow *shadow = reach->shadow;
    for (uint32_t i = 0; i < SHADOW_NAMES; i++)
        if (atomic_load(&shadow->name[i].id) == id)
            fprintf(stderr, "  it is root-%u\n", i);
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        for (uint32_t t = 0; t < shadow->nthreads; t++)
            for (uint32_t i = 0; i < SHADOW_POCKETS; i++)
                if (atomic_load(&shadow->thread[c][t].pocket[i]) == id)
                    fprintf(stderr, "  thread %u of client %u has it in pocket %u\n", t, c, i);
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++)
        for (uint32_t e = 0; reach->kept[i] && e < shadow->record[i].nedges; e++) {
            char text[SHADOW_TEXT_BYTES];
            if (atomic_load(&shadow->record[i].edge[e]) == id)
                fprintf(stderr, "  edge %u points to it, of %s\n", e,
                        shadow_text(shadow, i + 1, text));
        }
}

uint64_t reach_check(const struct reach *reach, const struct ga_inventory *inventory)
{
    uint64_t nfaults = 0;
    for (shadow_id id = 1; id <= SHADOW_RECORDS; id++) {
        if (!reach->kept[id - 1])
            continue;
        const struct shadow_record *record = shadow_record(reach->shadow, id);
        const char *what = check_one(reach, inventory, record);
        char text[SHADOW_TEXT_BYTES];
        if (!what || nfaults++ >= TEXTS_MOST)
            continue;
        ga_inventory_tell(reach->heap_name, shadow_address(record), what,
                          shadow_text(reach->shadow, id, text));
        tell_who_knows(reach, id);
    }
    return nfaults;
}

/* ---- the rest ---- */

struct place {
    uint8_t *object;
    shadow_id id;
};

/* Where the objects are that are kept, or freed: in the order of their addresses. */
static struct place *list_accounted(const struct reach *reach, size_t *ret_count)
{
    struct place *places = malloc(SHADOW_RECORDS * sizeof(*places));
    if (!places)
        abort();
    *ret_count = 0;
    for (shadow_id id = 1; id <= SHADOW_RECORDS; id++) {
        const struct shadow_record *record = shadow_record(reach->shadow, id);
        if (reach->kept[id - 1] || atomic_load(&record->state) == SHADOW_FREED)
            places[(*ret_count)++] = (struct place){.object = shadow_address(record), .id = id};
    }
    qsort(places, *ret_count, sizeof(*places), ga_inventory_by_address);
    return places;
}

/* A free that has come to its end leaves nothing in use, or something else. */
static void forget_freed(const struct reach *reach, const struct ga_inventory *inventory)
{
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++) {
        struct shadow_record *record = &reach->shadow->record[i];
        uint8_t *object = shadow_address(record);
        if (atomic_load(&record->state) != SHADOW_FREED)
            continue;
        if (!ga_inventory_find(inventory->objects, inventory->count, sizeof(*inventory->objects),
                               object) ||
            (!object_is_intact(object, record) && !object_is_defaced(object, record)))
            atomic_store(&record->state, SHADOW_EMPTY);
    }
}

void reach_rest(const struct reach *reach, struct ga_inventory *inventory)
{
    size_t nplaces;
    size_t count = 0;
    forget_freed(reach, inventory);
    struct place *places = list_accounted(reach, &nplaces);
    for (size_t i = 0; i < inventory->count; i++)
        if (!ga_inventory_find(places, nplaces, sizeof(*places), inventory->objects[i].object))
            inventory->objects[count++] = inventory->objects[i];
    inventory->count = count;
    free(places);
}

/* The object that the word points into, by its index; -1 if none. */
static int64_t object_at(const struct ga_inventory *rest, const uint8_t *word)
{
    size_t low = 0;
    size_t high = rest->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rest->objects[middle].object <= word)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || word >= rest->objects[low - 1].object + rest->objects[low - 1].bytes)
        return -1;
    return (int64_t)low - 1;
}

/* Everything that can be reached from one object and was not seen before, each after all that was
 * found from it: appended to ret_order. */
static size_t descend(const struct ga_inventory *rest, size_t from, bool *seen, size_t *stack,
                      uint64_t *at, size_t *ret_order, size_t norder)
{
    size_t depth = 0;
    seen[from] = true;
    stack[depth] = from;
    at[from] = 0;
    for (;;) {
        const struct ga_inventory_object *object = &rest->objects[stack[depth]];
        uint64_t nwords = object->noscan ? 0 : object->bytes / sizeof(void *);
        if (at[stack[depth]] == nwords) {
            ret_order[norder++] = stack[depth];
            if (depth-- == 0)
                return norder;
            continue;
        }
        const uint8_t *word;
        memcpy(&word, object->object + at[stack[depth]]++ * sizeof(word), sizeof(word));
        int64_t next = object_at(rest, word);
        if (next < 0 || seen[next])
            continue;
        seen[next] = true;
        at[next] = 0;
        stack[++depth] = (size_t)next;
    }
}

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    if (!p)
        abort();
    return p;
}

uint64_t reach_lucky(const struct ga_inventory *rest)
{
    bool *seen = zeroed(rest->count, sizeof(*seen));
    size_t *stack = zeroed(rest->count, sizeof(*stack));
    size_t *order = zeroed(rest->count, sizeof(*order));
    size_t *again = zeroed(rest->count, sizeof(*again));
    uint64_t *at = zeroed(rest->count, sizeof(*at));
    size_t norder = 0;
    for (size_t i = 0; i < rest->count; i++)
        if (!seen[i])
            norder = descend(rest, i, seen, stack, at, order, norder);
    /* Who comes last is reached from nobody before; all that it reaches needs no luck of its own.
     */
    uint64_t lucky = 0;
    memset(seen, 0, rest->count * sizeof(*seen));
    for (size_t i = rest->count; i-- > 0;)
        if (!seen[order[i]]) {
            lucky++;
            (void)descend(rest, order[i], seen, stack, at, again, 0);
        }
    free(seen);
    free(stack);
    free(order);
    free(again);
    free(at);
    return lucky;
}

void reach_tell_rest(const struct reach *reach, const struct ga_inventory *rest)
{
    for (size_t i = 0; i < rest->count && i < TEXTS_MOST; i++) {
        char text[SHADOW_TEXT_BYTES];
        uint8_t *object = rest->objects[i].object;
        ga_inventory_tell(reach->heap_name, object, "is not reachable and in use",
                          shadow_text(reach->shadow, record_at(reach->shadow, object), text));
    }
}

/* ---- afterwards ---- */

void reach_take_uncollected(struct reach *reach, struct ga_inventory *ret)
{
    *ret = (struct ga_inventory){.objects = zeroed(SHADOW_RECORDS, sizeof(*ret->objects))};
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++) {
        struct shadow_record *record = &reach->shadow->record[i];
        if (!reach->kept[i] || reach->known[i] ||
            reach->shadow->kind[record->owner] != SHADOW_ORDINARY)
            continue;
        ret->objects[ret->count++].object = shadow_address(record);
        atomic_store(&record->state, SHADOW_FREED);
    }
}

/* Its object is gone, or another's by now. */
static bool is_gone(const struct ga_inventory *rest, const struct shadow_record *record)
{
    uint8_t *object = shadow_address(record);
    return !ga_inventory_find(rest->objects, rest->count, sizeof(*rest->objects), object) ||
           !object_is_intact(object, record);
}

static void count_refs(const struct reach *reach)
{
    struct shadow *shadow = reach->shadow;
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++)
        atomic_store(&shadow->record[i].refs, 0);
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++)
        for (uint32_t e = 0; reach->kept[i] && e < shadow->record[i].nedges; e++) {
            shadow_id id = atomic_load(&shadow->record[i].edge[e]);
            if (id != 0)
                atomic_fetch_add(&shadow_record(shadow, id)->refs, 1);
        }
    for (uint32_t i = 0; i < SHADOW_NAMES; i++)
        if (atomic_load(&shadow->name[i].id) != 0)
            atomic_fetch_add(&shadow_record(shadow, atomic_load(&shadow->name[i].id))->refs, 1);
    for (uint32_t c = 0; c < SHADOW_CLIENTS; c++)
        for (uint32_t t = 0; t < shadow->nthreads; t++)
            for (uint32_t i = 0; i < SHADOW_POCKETS; i++) {
                shadow_id id = atomic_load(&shadow->thread[c][t].pocket[i]);
                if (id != 0)
                    atomic_fetch_add(&shadow_record(shadow, id)->refs, 1);
            }
}

void reach_forget(const struct reach *reach, const struct ga_inventory *rest)
{
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++) {
        struct shadow_record *record = &reach->shadow->record[i];
        uint32_t state = atomic_load(&record->state);
        if (reach->kept[i] || state == SHADOW_EMPTY)
            continue;
        atomic_store(&record->lock, 0);
        if (state != SHADOW_FREED)
            atomic_store(&record->state, is_gone(rest, record) ? SHADOW_EMPTY : SHADOW_GARBAGE);
    }
    count_refs(reach);
}
