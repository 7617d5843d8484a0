#include "deeds.h"

#include <errno.h>
#include <stdio.h>

#include "support/cunit_main.h"

/* What this thread frees or resizes, for reports about it. */
static _Thread_local const struct storm_entry *in_hand;
static _Thread_local bool not_freed;

void storm_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    struct storm_ledger *ledger = data;
    char text[STORM_TEXT_BYTES];
    if (kind == GOALLOC_REPORT_LOST) {
        not_freed = true; /* if it is a free that is reported: the server was killed */
        return;
    }
    atomic_fetch_add(&ledger->reports, 1);
    fprintf(stderr, "%s; %s\n", message,
            in_hand ? storm_entry_text(ledger, in_hand, text) : "of no entry");
}

static size_t random_size(struct storm_worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    switch (r % 500) {
    case 0:
        return 1 + (r >> 16) % (3 << 20);
    case 1 ... 9:
        return 32769 + (r >> 16) % 100000;
    case 10 ... 60:
        return 1 + (r >> 16) % 32768;
    case 61 ... 200:
        return 1 + (r >> 16) % 15;
    default:
        return 1 + (r >> 16) % 500;
    }
}

static uint8_t *allocate(struct storm_worker *w, size_t bytes, uint64_t kind)
{
    switch (kind % 4) {
    case 0:
        return goalloc_malloc(w->heap, bytes);
    case 1:
        return goalloc_calloc(w->heap, 1, bytes);
    case 2:
        return goalloc_aligned_alloc(w->heap, (size_t)1 << (kind >> 8) % 8, bytes);
    default:
        return goalloc_alloc(w->heap, bytes, 0, GOALLOC_NOSCAN);
    }
}

static void damage(struct storm_worker *w, const char *when, const struct storm_entry *e)
{
    char text[STORM_TEXT_BYTES];
    atomic_fetch_add(&w->ledger->damaged, 1);
    fprintf(stderr, "%s by client %u: not as it was left: %s\n", when, w->client,
            storm_entry_text(w->ledger, e, text));
}

static bool is_zero(const uint8_t *object, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (object[i] != 0)
            return false;
    return true;
}

void storm_make(struct storm_worker *w, struct storm_entry *e)
{
    uint64_t kind = ga_test_random(&w->random);
    atomic_store(&e->object, NULL);
    e->bytes = random_size(w);
    e->seed = ga_test_random(&w->random);
    atomic_store(&e->state, storm_word(STORM_ALLOCATING, w->client));
    uint8_t *object = allocate(w, e->bytes, kind);
    if (!object) {
        atomic_fetch_add(&w->ledger->failed, 1);
        atomic_store(&e->state, storm_word(STORM_EMPTY, 0));
        return;
    }
    atomic_store(&e->object, object);
    if (kind % 4 == 1 && !is_zero(object, e->bytes))
        damage(w, "calloc", e);
    storm_fill(object, e->bytes, e->seed);
    atomic_store(&e->state, storm_word(STORM_LIVE, 0));
}

/* Take an object that is whole, or that a dead client left; what is done with it next is acting. */
static bool take(struct storm_worker *w, struct storm_entry *e, enum storm_state acting,
                 enum storm_state *ret_was)
{
    uint64_t word = atomic_load(&e->state);
    *ret_was = storm_state_of(word);
    if (*ret_was != STORM_LIVE && *ret_was != STORM_UNFILLED)
        return false;
    return atomic_compare_exchange_strong(&e->state, &word, storm_word(acting, w->client));
}

void storm_free(struct storm_worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (!take(w, e, STORM_FREEING, &was))
        return;
    if (was == STORM_LIVE && !storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "free", e);
    in_hand = e;
    goalloc_free(w->heap, e->object);
    in_hand = NULL;
    atomic_store(&e->state, storm_word(STORM_EMPTY, 0));
}

void storm_resize(struct storm_worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (!take(w, e, STORM_RESIZING, &was))
        return;
    if (was == STORM_LIVE && !storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "realloc", e);
    size_t bytes = random_size(w);
    in_hand = e;
    uint8_t *object = goalloc_realloc(w->heap, e->object, bytes);
    in_hand = NULL;
    if (object) {
        uint64_t kept = e->bytes < bytes ? e->bytes : bytes;
        atomic_store(&e->object, object);
        if (was == STORM_LIVE && !storm_is_intact(object, kept, e->seed))
            damage(w, "realloc's copy", e);
        e->bytes = bytes;
        storm_fill(object, bytes, e->seed);
        was = STORM_LIVE;
    } else {
        atomic_fetch_add(&w->ledger->failed, 1);
    }
    atomic_store(&e->state, storm_word(was, 0));
}

/* A call that needs the server may fail where that was killed, and not otherwise. */
static bool has_done(struct storm_worker *w, const char *what, int r, const struct storm_entry *e)
{
    if (r == 0)
        return true;
    atomic_fetch_add(&w->ledger->failed, 1);
    if (r == -ETIMEDOUT || r == -ENOTCONN)
        return false;
    char text[STORM_TEXT_BYTES];
    atomic_fetch_add(&w->ledger->reports, 1);
    fprintf(stderr, "%s: %s; %s\n", what, goalloc_strerror(r),
            storm_entry_text(w->ledger, e, text));
    return false;
}

void storm_free_held(struct storm_worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (!take(w, e, STORM_FREEING, &was))
        return;
    int r = goalloc_hold(w->heap, e->object);
    if (r == -EOPNOTSUPP /* it is tiny */ || !has_done(w, "hold", r, e)) {
        atomic_store(&e->state, storm_word(was, 0));
        return;
    }
    in_hand = e;
    not_freed = false;
    goalloc_free(w->heap, e->object);
    in_hand = NULL;
    if (was == STORM_LIVE && !storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "free of what is held", e);
    (void)has_done(w, "release", goalloc_release(w->heap, e->object), e);
    /* Whether the free was put off is not known if the server died over it: who has it in its
     * hands keeps it there. */
    if (!not_freed)
        atomic_store(&e->state, storm_word(STORM_EMPTY, 0));
}

void storm_name(struct storm_worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (storm_state_of(atomic_load(&e->state)) != STORM_LIVE || !take(w, e, STORM_NAMING, &was))
        return;
    /* Another name than the one before, who may have died before its request was read. */
    char name[32];
    snprintf(name, sizeof(name), "%u.%u.%u", w->client, w->thread, w->round % 3);
    void *found = e->object;
    void *old;
    int r = goalloc_publish(w->heap, name, e->object);
    if (r == -EEXIST) /* of who died with it */
        r = goalloc_replace(w->heap, name, e->object, &old);
    bool published = has_done(w, "publish", r, e);
    if (published && has_done(w, "lookup", goalloc_lookup(w->heap, name, &found), e) &&
        found != e->object)
        (void)has_done(w, "lookup of another object", -EBADF, e);
    r = goalloc_unpublish(w->heap, name);
    (void)has_done(w, "unpublish", r == -ENOENT && !published ? 0 : r, e);
    if (!storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "publish", e);
    atomic_store(&e->state, storm_word(was, 0));
}
