/* The journal: a change that the server is killed in, before any of its stores, is made once when
 * its client has asked again; and what the client is answered is what it would have been. */
#include "support/core_cuts.h"

#include <errno.h>
#include <stdio.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20
#define PLACE    (GA_OUTCOME_COUNT - 1)
#define ID       77u

static struct ga_core core;
static ga_client_id one, two;
static struct ga_slot slot, other;
static uint64_t offset, other_offset;
static uint64_t old;
static int result;

static void allocate(ga_mcache_id mcache, struct ga_slot *ret_slot, uint64_t *ret_offset)
{
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, ret_slot), 0);
    *ret_offset = ret_slot->page * GA_PAGE_SIZE + ret_slot->index * ga_size_classes[CLASS / 2].size;
}

static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    one = ga_core_attach(&core);
    two = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, one);
    ga_page_id page = ga_core_lease(&core, one, mcache, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, page));
    allocate(mcache, &slot, &offset);
    allocate(mcache, &other, &other_offset);
    old = 0;
}

static void check_sound(void)
{
    const char *clause = ga_core_audit(&core);
    if (clause)
        printf("not true: %s\n", clause);
    CU_ASSERT_PTR_NULL(clause);
}

static uint64_t held(void)
{
    struct ga_user_info user;
    CU_ASSERT_EQUAL(ga_heap_next_user(core.heap, 0, &user), 0);
    return user.used.of[GA_QUOTA_HOLDS];
}

static uint64_t published(void)
{
    struct ga_user_info user;
    CU_ASSERT_EQUAL(ga_heap_next_user(core.heap, 0, &user), 0);
    return user.used.of[GA_QUOTA_ROOTS];
}

/* ---- the changes: what goes before, what is asked for, what it must have become of it ---- */

static void nothing(void)
{
}

static void publish(void)
{
    result = ga_heap_publish(core.heap, two, "root", offset);
}

static void is_published(void)
{
    uint64_t found = 0;
    uint32_t by = 0;
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "root", &found, &by), 0);
    CU_ASSERT(found == offset && by == two + 1);
    CU_ASSERT_EQUAL(core.heap->nroots, 1);
    CU_ASSERT_EQUAL(published(), 1);
}

static void publish_other(void)
{
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one, "root", other_offset), 0);
}

static void replace(void)
{
    result = ga_heap_replace(core.heap, two, "root", offset, &old);
}

static void is_replaced(void)
{
    is_published();
    CU_ASSERT_EQUAL(old, other_offset);
}

static void is_new(void)
{
    is_published();
    CU_ASSERT_EQUAL(old, 0);
}

static void unpublish(void)
{
    result = ga_heap_unpublish(core.heap, "root");
}

static void is_unpublished(void)
{
    CU_ASSERT_EQUAL(core.heap->nroots, 0);
    CU_ASSERT_EQUAL(published(), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "root"), -ENOENT);
}

static void hold(void)
{
    result = ga_heap_hold(core.heap, two, offset);
}

static void release(void)
{
    result = ga_heap_release(core.heap, two, offset);
}

/* How often two holds the object, by releasing it. */
static uint32_t count_holds(void)
{
    uint32_t n = 0;
    while (n < 10 && ga_heap_release(core.heap, two, offset) == 0)
        n++;
    return n;
}

static void is_held_once(void)
{
    CU_ASSERT_EQUAL(held(), 1);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[slot.page].nholds), 1);
    CU_ASSERT_EQUAL(count_holds(), 1);
    CU_ASSERT(ga_core_in_use(&core, &slot));
}

static void is_held_twice(void)
{
    CU_ASSERT_EQUAL(held(), 1);
    CU_ASSERT_EQUAL(count_holds(), 2);
}

static void hold_twice(void)
{
    hold();
    hold();
}

static void is_released(void)
{
    CU_ASSERT_EQUAL(held(), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[slot.page].nholds), 0);
    CU_ASSERT_EQUAL(count_holds(), 0);
    CU_ASSERT(ga_core_in_use(&core, &slot));
}

static void put_off(void)
{
    result = ga_heap_put_off(core.heap, offset);
}

static void hold_by_both(void)
{
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, offset), 0);
    hold();
}

static void is_put_off(void)
{
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, one, offset), 0);
    CU_ASSERT(ga_core_in_use(&core, &slot));
    CU_ASSERT_EQUAL(count_holds(), 1);
    CU_ASSERT(!ga_core_in_use(&core, &slot));
}

static void hold_and_put_off(void)
{
    hold();
    put_off();
}

static void is_freed(void)
{
    CU_ASSERT_EQUAL(held(), 0);
    CU_ASSERT_EQUAL(count_holds(), 0);
    CU_ASSERT(!ga_core_in_use(&core, &slot));
}

struct change {
    const char *name;
    void (*before)(void);
    void (*operation)(void);
    void (*check)(void);
};

static const struct change changes[] = {
    {"publish", nothing, publish, is_published},
    {"replace", publish_other, replace, is_replaced},
    {"replace what is not there", nothing, replace, is_new},
    {"unpublish", publish_other, unpublish, is_unpublished},
    {"hold", nothing, hold, is_held_once},
    {"hold once more", hold, hold, is_held_twice},
    {"release once", hold_twice, release, is_held_once},
    {"release", hold, release, is_released},
    {"put off", hold_by_both, put_off, is_put_off},
    {"release what was freed", hold_and_put_off, release, is_freed},
};

/* ---- cuts ---- */

static const struct change *change;

static void ask(void)
{
    result = ga_heap_begin_request(core.heap, two, PLACE, ID, &old);
    if (result == 0)
        change->operation();
    ga_heap_end_request(core.heap);
}

static void take_over(void)
{
    char why[GA_ADOPT_WHY_BYTES] = "";
    int r = ga_core_adopt(&core, why);
    if (r < 0)
        printf("refused: %s\n", why);
    CU_ASSERT_EQUAL_FATAL(r, 0);
    check_sound();
}

/* Kill the server before its store number n; returns whether it had so many. */
static bool cut_at(uint32_t n, uint32_t *ndone)
{
    open_core();
    change->before();
    bool cut = ga_core_cut(&core, n, ask);
    if (!cut)
        CU_ASSERT_EQUAL(result, 0);
    old = UINT64_MAX;
    take_over();
    ask();
    CU_ASSERT(result == 0 || result == GA_REQUEST_DONE);
    *ndone += result == GA_REQUEST_DONE;
    CU_ASSERT(cut || result == GA_REQUEST_DONE);
    if (result == GA_REQUEST_DONE && change->operation != replace)
        CU_ASSERT_EQUAL(old, 0);
    change->check();
    check_sound();
    ga_core_close(&core);
    return cut;
}

static void cut_everywhere(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer's stores are made in a lock of its own, which stays locked");
    return;
#endif
    for (size_t i = 0; i < COUNT(changes); i++) {
        change = &changes[i];
        uint32_t ndone = 0;
        uint32_t n = 0;
        while (cut_at(n, &ndone))
            n++;
        printf("%s: %u stores, found done after %u of them\n", change->name, n, ndone);
        /* The journal's own, on both sides of the store that decides. */
        CU_ASSERT(n >= 8 && ndone >= 3 && ndone < n);
    }
}

/* ---- answers ---- */

static void answers(void)
{
    change = &changes[4];
    open_core();
    ask();
    CU_ASSERT_EQUAL(result, 0);
    ask();
    CU_ASSERT_EQUAL(result, GA_REQUEST_DONE);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, PLACE, ID + 1, &old), 0);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, 0, ID, &old), 0);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, one, PLACE, ID, &old), 0);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, GA_OUTCOME_COUNT, ID, &old), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, 0, 0, &old), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two + 1, 0, ID, &old), -EPERM);
    /* What is not asked by a client in this way is nobody's answer. */
    hold();
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, 0, ID, &old), 0);
    /* A refusal is none either. */
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, two, 1), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_begin_request(core.heap, two, 0, ID, &old), 0);
    ga_heap_end_request(core.heap);
    /* Who gets the number next has asked for nothing. */
    ga_heap_client_gone(core.heap, two);
    CU_ASSERT_EQUAL(ga_core_attach(&core), two);
    ask();
    CU_ASSERT_EQUAL(result, 0);
    check_sound();
    ga_core_close(&core);
}

/* ---- refusals ---- */

static void refused(struct ga_journal wrong)
{
    struct ga_journal *journal = &core.heap->meta->journal;
    *journal = wrong;
    struct ga_heap *heap = NULL;
    char why[GA_ADOPT_WHY_BYTES] = "";
    CU_ASSERT_EQUAL(ga_heap_adopt(&core.config, core.objects[GA_OBJECT_META],
                                  core.objects[GA_OBJECT_BITS], &core.effects, why, &heap),
                    -EBADMSG);
    CU_ASSERT_STRING_EQUAL(why, "its journal is damaged");
}

static void damaged(void)
{
    open_core();
    publish_other();
    hold();
    uint64_t end = core.heap->npages_committed * GA_PAGE_SIZE;
    refused((struct ga_journal){.kind = GA_JOURNAL_KINDS});
    refused((struct ga_journal){.kind = GA_JOURNAL_PUT_OFF, .client = 3});
    refused((struct ga_journal){.kind = GA_JOURNAL_PUT_OFF, .place = GA_OUTCOME_COUNT});
    refused((struct ga_journal){.kind = GA_JOURNAL_UNPUBLISH, .index = 1});
    refused((struct ga_journal){.kind = GA_JOURNAL_REPLACE});
    refused((struct ga_journal){.kind = GA_JOURNAL_REPLACE, .publisher = 3});
    refused((struct ga_journal){.kind = GA_JOURNAL_REPLACE, .publisher = 1, .offset = end});
    refused((struct ga_journal){.kind = GA_JOURNAL_RELEASE, .index = 1});
    refused((struct ga_journal){.kind = GA_JOURNAL_COUNT});
    core.heap->holds[0].state = GA_HOLD_UNUSED;
    core.heap->holds[0].client = 0;
    refused((struct ga_journal){.kind = GA_JOURNAL_HOLD});
    core.heap->roots[0].used = 0;
    core.heap->roots[0].client = 0;
    refused((struct ga_journal){.kind = GA_JOURNAL_PUBLISH});
    refused((struct ga_journal){.kind = GA_JOURNAL_REPLACE, .publisher = 1});
    core.heap->meta->journal = (struct ga_journal){0};
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"cut before each store", cut_everywhere},
        {"answers", answers},
        {"damaged", damaged},
    };
    return ga_test_main("server.journal", tests, COUNT(tests));
}
