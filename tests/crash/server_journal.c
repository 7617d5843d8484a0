/* goallocd, killed while it changes roots and holds: each change is made exactly once. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void *y;

static void expect_root(void *expected)
{
    void *found = NULL;
    (void)goalloc_lookup(ga_heap, GA_DEED_ROOT, &found);
    if (found != expected)
        ga_account_complain(ga_account, "the root names another object");
}

static void get_published(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_SMALL);
    y = ga_actor_get(GA_DEED_SMALL);
    ga_deed_expect(goalloc_publish(ga_heap, GA_DEED_ROOT, ga_deed_x), 0, "publish");
}

static void publish(void)
{
    ga_deed_expect(goalloc_publish(ga_heap, GA_DEED_ROOT, ga_deed_x), 0, "publish");
    expect_root(ga_deed_x);
}

static void replace(void)
{
    void *old = NULL;
    ga_deed_expect(goalloc_replace(ga_heap, GA_DEED_ROOT, y, &old), 0, "replace");
    if (old != ga_deed_x)
        ga_account_complain(ga_account, "what was replaced is another object");
    expect_root(y);
}

static void unpublish(void)
{
    ga_deed_expect(goalloc_unpublish(ga_heap, GA_DEED_ROOT), 0, "unpublish");
    expect_root(NULL);
}

static void hold(void)
{
    ga_deed_expect(goalloc_hold(ga_heap, ga_deed_x), 0, "hold");
}

static void release(void)
{
    ga_deed_expect(goalloc_release(ga_heap, ga_deed_x), 0, "release");
}

static void get_held(void)
{
    ga_deed_get_one();
    hold();
}

static void get_held_twice(void)
{
    get_held();
    hold();
}

static void free_held(void)
{
    ga_account_leave(ga_account, ga_deed_x);
    goalloc_free(ga_heap, ga_deed_x);
}

static void get_held_and_freed(void)
{
    get_held();
    free_held();
}

/* So many holds there are, and not one more. */
static void release_all(uint32_t n)
{
    while (n-- > 0)
        release();
    ga_deed_expect(goalloc_release(ga_heap, ga_deed_x), -EINVAL, "release of what is not held");
}

static void release_last(void)
{
    release_all(1);
    ga_deed_go_on();
}

static void release_both(void)
{
    release_all(2);
    ga_deed_go_on();
}

/* x was freed, and goes with its last hold. */
static void release_freed(void)
{
    release_all(1);
    ga_account_drop(ga_account, ga_deed_x);
    ga_deed_go_on();
}

static void end_freed(void)
{
    release_all(0);
    ga_account_drop(ga_account, ga_deed_x);
    ga_deed_go_on();
}

static void end_held(void)
{
    release_all(0);
    ga_deed_go_on();
}

const struct ga_server_scenario ga_server_journal_scenarios[] = {
    {.name = "server: publish",
     .before = ga_deed_get_one,
     .function = "ga_heap_publish",
     .operation = publish,
     .after = ga_deed_go_on},
    {.name = "server: replace",
     .before = get_published,
     .function = "ga_heap_replace",
     .operation = replace,
     .after = ga_deed_go_on},
    {.name = "server: unpublish",
     .before = get_published,
     .function = "ga_heap_unpublish",
     .operation = unpublish,
     .after = ga_deed_go_on},
    {.name = "server: hold",
     .before = ga_deed_get_one,
     .function = "ga_heap_hold",
     .operation = hold,
     .after = release_last},
    {.name = "server: hold once more",
     .before = get_held,
     .function = "ga_heap_hold",
     .operation = hold,
     .after = release_both},
    {.name = "server: release",
     .before = get_held,
     .function = "ga_heap_release",
     .operation = release,
     .after = end_held},
    {.name = "server: release one of two",
     .before = get_held_twice,
     .function = "ga_heap_release",
     .operation = release,
     .after = release_last},
    {.name = "server: free what is held",
     .before = get_held,
     .function = "ga_heap_put_off",
     .operation = free_held,
     .after = release_freed},
    {.name = "server: release what was freed",
     .before = get_held_and_freed,
     .function = "ga_heap_release",
     .operation = release,
     .after = end_freed},
    {.name = "server: adoption, a publish is decided",
     .before = ga_deed_get_one,
     .function = "ga_journal_adopt",
     .operation = publish,
     .after = ga_deed_go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a replace is decided",
     .before = get_published,
     .function = "ga_journal_adopt",
     .operation = replace,
     .after = ga_deed_go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, an unpublish is decided",
     .before = get_published,
     .function = "ga_journal_adopt",
     .operation = unpublish,
     .after = ga_deed_go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a hold is decided",
     .before = ga_deed_get_one,
     .function = "ga_journal_adopt",
     .operation = hold,
     .after = release_last,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a second hold is decided",
     .before = get_held,
     .function = "ga_journal_adopt",
     .operation = hold,
     .after = release_both,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a release is decided",
     .before = get_held_and_freed,
     .function = "ga_journal_adopt",
     .operation = release,
     .after = end_freed,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a free is put off",
     .before = get_held,
     .function = "ga_journal_adopt",
     .operation = free_held,
     .after = release_freed,
     .adopts = true,
     .journals = true},
    {.name = NULL},
};
