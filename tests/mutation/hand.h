/* Objects that a thread has in its hands: how it comes to know them, always from one that it knows
 * already, and how it forgets them. Whoever the collector does not look at holds what it has.
 *
 * Every function that meets an object looks whether it is what it must be. */
#ifndef GA_TESTS_MUTATION_HAND_H
#define GA_TESTS_MUTATION_HAND_H

#include "goalloc/goalloc.h"
#include "shadow.h"

/* Where a thread keeps pointers: what kind of memory each pocket lies in. */
enum pocket_kind {
    POCKET_STACK,
    POCKET_STATIC,
    POCKET_MALLOC,
    POCKET_THREAD_LOCAL,
    POCKET_MMAP,
    POCKET_HOLD, /* in none: it is held */
    POCKET_KINDS
};

struct worker {
    struct goalloc_heap *heap;
    struct shadow *shadow;
    uint32_t client;
    uint32_t thread;
    uint32_t round;
    bool holds; /* it is none that the collector looks at */
    uint64_t random;
    void *volatile *pocket[SHADOW_POCKETS]; /* NULL of those that are held */
    uint64_t offset[SHADOW_POCKETS];        /* of what the pocket has, from the object's start */
};

struct hand {
    shadow_id id; /* 0 = empty */
    uint8_t *object;
};

static inline enum pocket_kind pocket_kind(uint32_t pocket)
{
    return (enum pocket_kind)(pocket % POCKET_KINDS);
}

/* Report the object as damaged. */
void hand_damage(struct worker *w, const char *what, shadow_id id);

/* Have object id, which is reachable as long as this runs. False if it cannot be held. */
bool hand_take(struct worker *w, shadow_id id, uint8_t *object, struct hand *ret);
void hand_drop(struct worker *w, struct hand *hand);
/* See whether it is what it must be. */
void hand_examine(struct worker *w, const struct hand *hand);

/* Take what a pocket, or a name, has; what hand has, goes on to one of its edges. False where there
 * is nothing, or somebody is at it; then hand is as before. */
bool hand_from_pocket(struct worker *w, uint32_t pocket, struct hand *ret);
bool hand_from_name(struct worker *w, uint32_t name, struct hand *ret);
bool hand_step(struct worker *w, struct hand *hand);

/* Put it into a pocket, in the place of what is there, or empty the pocket. False if it cannot be
 * held. */
bool hand_to_pocket(struct worker *w, uint32_t pocket, const struct hand *hand);
void hand_empty_pocket(struct worker *w, uint32_t pocket);

void hand_name_text(uint32_t name, char text[static 16]);

#endif
