#include "hand.h"

#include <errno.h>
#include <stdio.h>

#include "object.h"
#include "support/cunit_main.h"

void hand_damage(struct worker *w, const char *what, shadow_id id)
{
    char text[SHADOW_TEXT_BYTES];
    atomic_fetch_add(&w->shadow->damaged, 1);
    fprintf(stderr, "client %u, thread %u: %s: %s\n", w->client, w->thread, what,
            shadow_text(w->shadow, id, text));
}

void hand_name_text(uint32_t name, char text[static 16])
{
    snprintf(text, 16, "root-%u", name);
}

/* A call that needs the server may fail when that was killed, and not otherwise. */
static bool is_held(struct worker *w, shadow_id id, int r)
{
    if (r == 0)
        return true;
    if (r == -ETIMEDOUT || r == -ENOTCONN)
        atomic_fetch_add(&w->shadow->not_done, 1);
    else if (r != -EOPNOTSUPP /* it is tiny */)
        hand_damage(w, goalloc_strerror(r), id);
    return false;
}

bool hand_take(struct worker *w, shadow_id id, uint8_t *object, struct hand *ret)
{
    if (w->holds && !is_held(w, id, goalloc_hold(w->heap, object)))
        return false;
    atomic_fetch_add(&shadow_record(w->shadow, id)->refs, 1);
    *ret = (struct hand){.id = id, .object = object};
    return true;
}

void hand_drop(struct worker *w, struct hand *hand)
{
    if (hand->id == 0)
        return;
    if (w->holds)
        (void)is_held(w, hand->id, goalloc_release(w->heap, hand->object));
    atomic_fetch_sub(&shadow_record(w->shadow, hand->id)->refs, 1);
    *hand = (struct hand){0};
}

__attribute__((noinline)) void hand_examine(struct worker *w, const struct hand *hand)
{
    const struct shadow_record *record = shadow_record(w->shadow, hand->id);
    if (atomic_load(&record->state) != SHADOW_LIVE || shadow_address(record) != hand->object)
        hand_damage(w, "is no more what it was", hand->id);
    else if (!object_is_intact(hand->object, record))
        hand_damage(w, "has other bytes than it was given", hand->id);
    else if (ga_test_random(&w->random) % 8 == 0 &&
             goalloc_usable_size(w->heap, hand->object) < record->bytes)
        hand_damage(w, "is not in use", hand->id);
}

/* Of one that the pocket keeps, so that nothing happens to it. */
static uint8_t *kept_in(struct worker *w, uint32_t pocket, shadow_id id)
{
    if (!w->pocket[pocket])
        return shadow_address(shadow_record(w->shadow, id));
    return (uint8_t *)*w->pocket[pocket] - w->offset[pocket];
}

bool hand_from_pocket(struct worker *w, uint32_t pocket, struct hand *ret)
{
    shadow_id id = atomic_load(&w->shadow->thread[w->client][w->thread].pocket[pocket]);
    struct hand hand;
    if (id == 0 || !hand_take(w, id, kept_in(w, pocket, id), &hand))
        return false;
    hand_examine(w, &hand);
    *ret = hand;
    return true;
}

bool hand_from_name(struct worker *w, uint32_t name, struct hand *ret)
{
    struct shadow_name *shadow = &w->shadow->name[name];
    struct hand hand = {0};
    if (!shadow_try_lock(&shadow->lock, w->client))
        return false;
    char text[16];
    void *object = NULL;
    shadow_id id = atomic_load(&shadow->id);
    hand_name_text(name, text);
    int r = goalloc_lookup(w->heap, text, &object);
    if (r == -ETIMEDOUT || r == -ENOTCONN)
        atomic_fetch_add(&w->shadow->not_done, 1);
    else if ((id == 0) != (r == -ENOENT))
        hand_damage(w, id ? "is not found by its name" : "a name that nobody has is found", id);
    else if (id != 0 && object != shadow_address(shadow_record(w->shadow, id)))
        hand_damage(w, "another is found by its name", id);
    else if (id != 0 && hand_take(w, id, object, &hand))
        hand_examine(w, &hand);
    shadow_unlock(&shadow->lock);
    if (hand.id != 0)
        *ret = hand;
    return hand.id != 0;
}

/* An edge of what has just been locked. */
static bool follow(struct worker *w, const struct hand *from, struct hand *ret)
{
    struct shadow_record *record = shadow_record(w->shadow, from->id);
    if (record->nedges == 0)
        return false;
    uint32_t edge = (uint32_t)(ga_test_random(&w->random) % record->nedges);
    shadow_id id = atomic_load(&record->edge[edge]);
    const uint8_t *word = *object_edge(from->object, record->bytes, edge);
    if (id == 0) {
        if (word)
            hand_damage(w, "has an edge that nobody made", from->id);
        return false;
    }
    struct shadow_record *target = shadow_record(w->shadow, id);
    uint8_t *object = shadow_address(target);
    if (word < object || word >= object + target->bytes) {
        hand_damage(w, "has lost an edge", from->id);
        return false;
    }
    return hand_take(w, id, object, ret);
}

bool hand_step(struct worker *w, struct hand *hand)
{
    struct shadow_record *record = shadow_record(w->shadow, hand->id);
    struct hand next = {0};
    if (!shadow_try_lock(&record->lock, w->client))
        return false;
    bool is_there = follow(w, hand, &next);
    shadow_unlock(&record->lock);
    if (!is_there)
        return false;
    hand_drop(w, hand);
    *hand = next;
    hand_examine(w, hand);
    return true;
}

void hand_empty_pocket(struct worker *w, uint32_t pocket)
{
    _Atomic shadow_id *shadow = &w->shadow->thread[w->client][w->thread].pocket[pocket];
    struct hand kept = {.id = atomic_load(shadow)};
    if (kept.id == 0)
        return;
    kept.object = kept_in(w, pocket, kept.id);
    atomic_store(shadow, 0);
    if (w->pocket[pocket])
        *w->pocket[pocket] = NULL;
    if (w->holds || !w->pocket[pocket])
        (void)is_held(w, kept.id, goalloc_release(w->heap, kept.object));
    atomic_fetch_sub(&shadow_record(w->shadow, kept.id)->refs, 1);
}

bool hand_to_pocket(struct worker *w, uint32_t pocket, const struct hand *hand)
{
    hand_empty_pocket(w, pocket);
    if ((w->holds || !w->pocket[pocket]) &&
        !is_held(w, hand->id, goalloc_hold(w->heap, hand->object)))
        return false;
    struct shadow_record *record = shadow_record(w->shadow, hand->id);
    atomic_fetch_add(&record->refs, 1);
    w->offset[pocket] =
        ga_test_random(&w->random) % 2 ? 0 : ga_test_random(&w->random) % record->bytes;
    if (w->pocket[pocket])
        *w->pocket[pocket] = hand->object + w->offset[pocket];
    atomic_store(&w->shadow->thread[w->client][w->thread].pocket[pocket], hand->id);
    return true;
}
