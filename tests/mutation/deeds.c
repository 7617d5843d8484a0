#include "deeds.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "object.h"
#include "support/cunit_main.h"

enum {
    STEPS_MOST = 12,
    LOOKS_MOST = 32,
    SPARED = 1000,
    COLLECTED = 5,
    CHAIN_MOST = 48,
    REGISTER_LOOPS_MOST = 20000
};

const char *deed_text(uint32_t deed)
{
    static const char *const texts[] = {
#define DEEDS_TEXT(name, text) text,
        DEEDS(DEEDS_TEXT)
#undef DEEDS_TEXT
    };
    return deed < DEED_COUNT ? texts[deed] : "?";
}

void deeds_note(struct worker *w, enum deed deed)
{
    atomic_store(&w->shadow->thread[w->client][w->thread].doing, deed);
}

void deeds_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    struct shadow *shadow = data;
    if (kind == GOALLOC_REPORT_LOST)
        return;
    atomic_fetch_add(&shadow->damaged, 1);
    fprintf(stderr, "%s\n", message);
}

static uint32_t below(struct worker *w, uint32_t n)
{
    return (uint32_t)(ga_test_random(&w->random) % n);
}

/* What is there is seldom put away for something else, or the graph would stay small. */
static bool spares(struct worker *w, shadow_id there)
{
    return there != 0 && below(w, SPARED) != 0;
}

static shadow_id in_pocket(struct worker *w, uint32_t pocket)
{
    return atomic_load(&w->shadow->thread[w->client][w->thread].pocket[pocket]);
}

/* ---- to and fro ---- */

/* Some object that this thread can reach. */
static bool walk(struct worker *w, struct hand *ret)
{
    *ret = (struct hand){0};
    if (below(w, 4) == 0 ? !hand_from_name(w, below(w, SHADOW_NAMES), ret)
                         : !hand_from_pocket(w, below(w, SHADOW_POCKETS), ret))
        return false;
    for (uint32_t steps = below(w, STEPS_MOST); steps > 0; steps--)
        if (!hand_step(w, ret))
            break;
    return true;
}

/* Any of its edges; rather one that points nowhere, if something is to be added. */
static uint32_t choose_edge(struct worker *w, const struct shadow_record *record, bool adds)
{
    uint32_t edge = below(w, record->nedges);
    for (uint32_t i = 0; adds && i < record->nedges; i++)
        if (atomic_load(&record->edge[(edge + i) % record->nedges]) == 0)
            return (edge + i) % record->nedges;
    return edge;
}

/* Let an edge of from point to to, or to nothing. */
static void set_edge(struct worker *w, const struct hand *from, const struct hand *to, bool adds)
{
    struct shadow_record *record = shadow_record(w->shadow, from->id);
    if (record->nedges == 0 || !shadow_try_lock(&record->lock, w->client))
        return;
    uint32_t edge = choose_edge(w, record, adds);
    shadow_id old = atomic_load(&record->edge[edge]);
    if (spares(w, old)) {
        shadow_unlock(&record->lock);
        return;
    }
    uint8_t *target = NULL;
    if (to->id != 0) {
        struct shadow_record *other = shadow_record(w->shadow, to->id);
        atomic_fetch_add(&other->refs, 1);
        target = to->object + (below(w, 2) ? 0 : ga_test_random(&w->random) % other->bytes);
    }
    *object_edge(from->object, record->bytes, edge) = target;
    atomic_store(&record->edge[edge], to->id);
    shadow_unlock(&record->lock);
    if (old != 0)
        atomic_fetch_sub(&shadow_record(w->shadow, old)->refs, 1);
}

static void link_two(struct worker *w)
{
    struct hand from;
    struct hand to = {0};
    if (walk(w, &from) && walk(w, &to))
        set_edge(w, &from, &to, false);
    hand_drop(w, &from);
    hand_drop(w, &to);
}

/* Take what an edge of from points to out of it. False if it points nowhere, or somebody is at it.
 */
static bool take_out(struct worker *w, const struct hand *from, struct hand *ret)
{
    struct shadow_record *record = shadow_record(w->shadow, from->id);
    if (record->nedges == 0 || !shadow_try_lock(&record->lock, w->client))
        return false;
    uint32_t edge = below(w, record->nedges);
    shadow_id id = atomic_load(&record->edge[edge]);
    bool taken = id != 0 && hand_take(w, id, shadow_address(shadow_record(w->shadow, id)), ret);
    if (taken) {
        *object_edge(from->object, record->bytes, edge) = NULL;
        atomic_store(&record->edge[edge], 0);
    }
    shadow_unlock(&record->lock);
    if (taken)
        atomic_fetch_sub(&shadow_record(w->shadow, id)->refs, 1);
    return taken;
}

/* For a moment the object is in nobody's edge. */
static void move_one(struct worker *w)
{
    struct hand from = {0};
    struct hand to = {0};
    struct hand moved = {0};
    if (walk(w, &to) && walk(w, &from) && take_out(w, &from, &moved)) {
        hand_examine(w, &moved);
        set_edge(w, &to, &moved, true);
    }
    hand_drop(w, &moved);
    hand_drop(w, &to);
    hand_drop(w, &from);
}

static void unlink_one(struct worker *w)
{
    struct hand from = {0};
    const struct hand nothing = {0};
    uint32_t pocket = below(w, SHADOW_POCKETS);
    if (below(w, 2) && !spares(w, in_pocket(w, pocket)))
        hand_empty_pocket(w, pocket);
    else if (walk(w, &from))
        set_edge(w, &from, &nothing, false);
    hand_drop(w, &from);
}

static void put_away(struct worker *w, const struct hand *hand)
{
    uint32_t pocket = below(w, SHADOW_POCKETS);
    if (!spares(w, in_pocket(w, pocket)))
        (void)hand_to_pocket(w, pocket, hand);
}

static void keep_one(struct worker *w)
{
    struct hand hand;
    if (walk(w, &hand))
        put_away(w, &hand);
    hand_drop(w, &hand);
}

/* ---- names ---- */

/* The name is locked: have it stand for hand, or for nothing. Whether the call took place is known,
 * or else it is a doubt. */
static int change_name(struct worker *w, uint32_t name, const struct hand *hand, shadow_id old)
{
    char text[16];
    void *was = NULL;
    hand_name_text(name, text);
    if (hand->id == 0)
        return goalloc_unpublish(w->heap, text);
    if (old == 0 && below(w, 2))
        return goalloc_publish(w->heap, text, hand->object);
    int r = goalloc_replace(w->heap, text, hand->object, &was);
    if (r == 0 && was != (old ? shadow_address(shadow_record(w->shadow, old)) : NULL))
        hand_damage(w, "a root had another object than this", old);
    return r;
}

static void set_name(struct worker *w, const struct hand *hand)
{
    uint32_t name = below(w, SHADOW_NAMES);
    struct shadow_name *shadow = &w->shadow->name[name];
    if (!shadow_try_lock(&shadow->lock, w->client))
        return;
    shadow_id old = atomic_load(&shadow->id);
    if ((hand->id == 0 && old == 0) || spares(w, old)) {
        shadow_unlock(&shadow->lock);
        return;
    }
    if (hand->id != 0)
        atomic_fetch_add(&shadow_record(w->shadow, hand->id)->refs, 1);
    int r = change_name(w, name, hand, old);
    if (r < 0) {
        atomic_store(&shadow->lock, SHADOW_DOUBT);
        atomic_fetch_add(&w->shadow->not_done, 1);
        if (r != -ETIMEDOUT && r != -ENOTCONN)
            hand_damage(w, goalloc_strerror(r), hand->id ? hand->id : old);
        return;
    }
    atomic_store(&shadow->id, hand->id);
    shadow_unlock(&shadow->lock);
    if (old != 0)
        atomic_fetch_sub(&shadow_record(w->shadow, old)->refs, 1);
}

static void name_one(struct worker *w)
{
    struct hand hand;
    if (walk(w, &hand))
        set_name(w, &hand);
    hand_drop(w, &hand);
}

static void unname_one(struct worker *w)
{
    const struct hand nothing = {0};
    set_name(w, &nothing);
}

/* ---- objects come and go ---- */

static uint64_t random_bytes(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random) >> 16;
    switch (below(w, 2000)) {
    case 0:
        return 32769 + r % (2 << 20);
    case 1 ... 30:
        return 32769 + r % 200000;
    case 31 ... 90:
        return 1 + r % 32768;
    case 91 ... 400:
        return 1 + r % 15;
    default:
        return 1 + r % 400;
    }
}

/* A record of this thread's own; 0 if none is found soon. */
static shadow_id find_empty(struct worker *w)
{
    uint32_t first = (w->client * SHADOW_THREADS_MAX + w->thread) * SHADOW_RECORDS_EACH;
    uint32_t start = below(w, SHADOW_RECORDS_EACH);
    for (uint32_t i = 0; i < LOOKS_MOST; i++) {
        uint32_t record = first + (start + i) % SHADOW_RECORDS_EACH;
        if (atomic_load(&w->shadow->record[record].state) == SHADOW_EMPTY)
            return record + 1;
    }
    return 0;
}

/* Any object that this thread reaches: something for a noscan object to point to in vain. */
static const void *decoy(struct worker *w)
{
    struct hand hand;
    const void *object = walk(w, &hand) ? hand.object : NULL;
    hand_drop(w, &hand);
    return object;
}

static bool make(struct worker *w, struct hand *ret)
{
    *ret = (struct hand){0};
    shadow_id id = find_empty(w);
    if (id == 0)
        return false;
    struct shadow_record *record = shadow_record(w->shadow, id);
    record->owner = w->client;
    record->round = w->round;
    record->noscan = below(w, 4) == 0;
    record->bytes = random_bytes(w);
    if (w->holds && record->noscan && record->bytes < 16)
        record->bytes = 16; /* tiny ones cannot be held */
    record->nedges = object_nedges(record->bytes, record->noscan);
    record->number = atomic_fetch_add(&w->shadow->numbers, 1) + 1;
    for (uint32_t i = 0; i < SHADOW_EDGES; i++)
        atomic_store(&record->edge[i], 0);
    atomic_store(&record->refs, 0);
    atomic_store(&record->state, SHADOW_MAKING);
    const void *in_vain = record->noscan ? decoy(w) : NULL;
    uint8_t *object = goalloc_alloc(w->heap, record->bytes, 0, record->noscan ? GOALLOC_NOSCAN : 0);
    if (!object) {
        atomic_store(&record->state, SHADOW_EMPTY);
        atomic_fetch_add(&w->shadow->not_done, 1);
        return false;
    }
    /* What lay there before could be taken for a pointer. */
    if (!record->noscan)
        memset(object, 0, goalloc_usable_size(w->heap, object));
    object_fill(object, record, in_vain);
    atomic_store(&record->hidden, shadow_hide(object));
    atomic_store(&record->state, SHADOW_LIVE);
    return hand_take(w, id, object, ret);
}

/* What is in the hand, if nobody else knows it; what it points to is known by one less. */
static void free_hand(struct worker *w, struct hand *hand)
{
    struct shadow_record *record = shadow_record(w->shadow, hand->id);
    uint32_t only = 1;
    if (!atomic_compare_exchange_strong(&record->refs, &only, 0)) {
        hand_drop(w, hand);
        return;
    }
    atomic_store(&record->state, SHADOW_FREED);
    object_deface(hand->object, record);
    goalloc_free(w->heap, hand->object);
    if (w->holds) /* until now, so that no collection came first */
        (void)goalloc_release(w->heap, hand->object);
    for (uint32_t i = 0; i < record->nedges; i++) {
        shadow_id id = atomic_load(&record->edge[i]);
        if (id != 0)
            atomic_fetch_sub(&shadow_record(w->shadow, id)->refs, 1);
    }
    *hand = (struct hand){0};
}

static void free_one(struct worker *w)
{
    struct hand hand;
    uint32_t pocket = below(w, SHADOW_POCKETS);
    if (!hand_from_pocket(w, pocket, &hand))
        return;
    hand_empty_pocket(w, pocket);
    free_hand(w, &hand);
}

static void make_one(struct worker *w)
{
    struct hand hand;
    struct hand from;
    if (!make(w, &hand))
        return;
    /* Somewhere to be found again, or nowhere. */
    switch (below(w, 8)) {
    case 0:
        break;
    case 1:
        free_hand(w, &hand);
        break;
    case 2:
        set_name(w, &hand);
        break;
    case 3:
        put_away(w, &hand);
        break;
    default:
        if (walk(w, &from))
            set_edge(w, &from, &hand, true);
        hand_drop(w, &from);
    }
    hand_drop(w, &hand);
}

/* ---- what only this thread ever knows, and no record says ---- */

struct chain {
    struct chain *next;
    uint64_t number;
};

static void check_chain(struct worker *w, const struct chain *chain, uint64_t number)
{
    for (; chain; chain = chain->next, number--)
        if (chain->number != ~number) {
            hand_damage(w, "a list is broken", 0);
            return;
        }
    if (number != 0)
        hand_damage(w, "a list is cut off", 0);
}

/* What the others leave behind when they are killed stays for good. */
static bool is_collected_when_dead(const struct worker *w)
{
    return !w->shadow->collected || w->shadow->kind[w->client] != SHADOW_ORDINARY;
}

static void chain_one(struct worker *w)
{
    if (!is_collected_when_dead(w))
        return;
    struct chain *chain = NULL;
    uint64_t number = 0;
    for (uint64_t count = below(w, CHAIN_MOST); number < count; number++) {
        size_t bytes = sizeof(*chain) + below(w, 300);
        struct chain *one = goalloc_malloc(w->heap, bytes);
        if (!one)
            break;
        memset(one, 0, goalloc_usable_size(w->heap, one));
        *one = (struct chain){.next = chain, .number = ~(number + 1)};
        chain = one;
        if (below(w, 16) == 0)
            check_chain(w, chain, number + 1);
    }
    sched_yield();
    check_chain(w, chain, number);
    while (chain && w->holds) { /* nobody else would */
        struct chain *next = chain->next;
        goalloc_free(w->heap, chain);
        chain = next;
    }
}

/* The pointer in *slot is for so many loops in a register, and nowhere else. */
static void keep_in_register(void *volatile *slot, uint64_t loops)
{
#ifdef __x86_64__
    void *p;
    __asm__ volatile("mov (%[slot]), %[p]\n\t"
                     "movq $0, (%[slot])\n"
                     "1:\tpause\n\t"
                     "dec %[loops]\n\t"
                     "jnz 1b\n\t"
                     "mov %[p], (%[slot])\n\t"
                     "xor %[p], %[p]"
                     : [p] "=&r"(p), [loops] "+r"(loops)
                     : [slot] "r"(slot)
                     : "memory", "cc");
#else
    void *volatile *end = slot + 1;
    while (loops-- > 0)
        __asm__ volatile("" : : "r"(end) : "memory");
#endif
}

static void register_one(struct worker *w)
{
    if (!is_collected_when_dead(w))
        return;
    void *volatile slot = goalloc_malloc(w->heap, sizeof(struct chain));
    if (!slot)
        return;
    ((struct chain *)slot)->next = NULL;
    ((struct chain *)slot)->number = ~UINT64_C(1);
    keep_in_register(&slot, 1 + below(w, REGISTER_LOOPS_MOST));
    check_chain(w, slot, 1);
    if (w->holds)
        goalloc_free(w->heap, slot);
}

/* ---- collections ---- */

static void collect(struct worker *w)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r = goalloc_gc(w->heap, &result);
    if (r == 0)
        atomic_fetch_add(&w->shadow->cycles, 1);
    else if (r == -ECANCELED && result.failure[0] != '\0')
        atomic_fetch_add(&w->shadow->abandoned, 1);
    else if (r == -ETIMEDOUT || r == -ENOTCONN)
        atomic_fetch_add(&w->shadow->not_done, 1);
    else
        hand_damage(w,
                    r == -ECANCELED ? "a collection does not say why it was abandoned"
                                    : goalloc_strerror(r),
                    0);
}

/* Most of the time goes without. */
static void collect_now_and_then(struct worker *w)
{
    if (w->shadow->collected && below(w, COLLECTED) == 0)
        collect(w);
}

/* ---- */

static void one(struct worker *w)
{
    static const struct {
        uint32_t weight;
        enum deed deed;
        void (*run)(struct worker *w);
    } deeds[] = {
        {30, DEED_MAKE, make_one},
        {20, DEED_KEEP, keep_one},
        {16, DEED_LINK, link_two},
        {4, DEED_UNLINK, unlink_one},
        {16, DEED_MOVE, move_one},
        {4, DEED_NAME, name_one},
        {2, DEED_UNNAME, unname_one},
        {1, DEED_FREE, free_one},
        {4, DEED_CHAIN, chain_one},
        {1, DEED_REGISTER, register_one},
        {1, DEED_COLLECT, collect_now_and_then},
    };
    uint32_t all = 0;
    for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++)
        all += deeds[i].weight;
    uint32_t r = below(w, all);
    size_t i = 0;
    while (r >= deeds[i].weight)
        r -= deeds[i++].weight;
    deeds_note(w, deeds[i].deed);
    deeds[i].run(w);
    deeds_note(w, DEED_NONE);
}

__attribute__((noinline)) void deeds_some(struct worker *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        one(w);
    atomic_fetch_add(&w->shadow->deeds, count);
}
